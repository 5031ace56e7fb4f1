"""Fuzzers: the head parser, the chunk decoder, the connection. `make fuzz` lets them run for long."""
