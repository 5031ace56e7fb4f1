"""HTTP semantics as pure functions that server, middleware and toolkit share."""
