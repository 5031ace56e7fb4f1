"""Tests of breezeway.config."""
