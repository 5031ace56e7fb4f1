"""The same bytes read by others: h11, llhttp; nginx, HAProxy and Envoy in front. `make differential`."""
