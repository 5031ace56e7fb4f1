"""The demo: what a fresh installation serves, and a PEP 3333 application to read.

It imports the standard library alone, so it runs in any WSGI server. Each page shows one thing
that a server does: the environ it makes, a body it collects, blocks it sends one by one, a file,
a failure, a slow request beside fast ones.
"""

from breezeway.demo.routes import application

__all__ = ["application"]
