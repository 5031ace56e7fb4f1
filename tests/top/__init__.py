"""Tests of `breezeway top`."""
