"""Tests of breezeway.worker."""
