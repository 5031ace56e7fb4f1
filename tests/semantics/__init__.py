"""Tests of breezeway.semantics."""
