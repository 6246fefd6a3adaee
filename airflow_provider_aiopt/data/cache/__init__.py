"""Prepared records kept for the next run, by their content: a local folder or a Redis."""
