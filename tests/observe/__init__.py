"""Tests of breezeway.observe."""
