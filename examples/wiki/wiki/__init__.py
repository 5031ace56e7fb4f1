"""A wiki: pages with history, editing without losing anything, search and uploads, on breezeway.web."""
