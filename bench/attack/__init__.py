"""Attacks on a server, and what the innocent feel of them: `make attack`, docs/attacks.md."""
