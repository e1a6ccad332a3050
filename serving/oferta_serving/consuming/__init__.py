"""Applying events: from the shards' streams to what is kept of customers."""
