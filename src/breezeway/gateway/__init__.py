"""PEP 3333 on top of the protocol: environ, wsgi.input, start_response, iterating, file_wrapper.

It knows sockets and threads only through `exchange.Transport`.
"""
