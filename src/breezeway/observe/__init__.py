"""What an operator sees: logs and the access log."""
