"""Where releases live: keys, records, Redis and memory."""
