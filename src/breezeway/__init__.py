"""Breezeway: the whole way of WSGI (PEP 3333) in pure Python."""
