"""The HTTP API on Redis."""
