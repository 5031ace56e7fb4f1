"""The same bytes read by others: h11, llhttp, and nginx and HAProxy in front. `make differential`."""
