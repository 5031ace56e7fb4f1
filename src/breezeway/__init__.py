"""Breezeway: the whole way of WSGI (PEP 3333) in pure Python."""

__version__ = "0.1.0.dev0"
