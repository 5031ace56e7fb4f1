"""Real proxies in front of a server, configured as docs/proxies.md says."""
