"""Tests of the admin listener's application."""
