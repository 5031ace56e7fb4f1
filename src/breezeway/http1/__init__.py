"""HTTP/1.1 (RFC 9110, RFC 9112), sans-I/O: bytes in, bytes out; no socket, no thread, no clock."""
