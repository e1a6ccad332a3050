"""Studies: a question in one file, an answer that can be trusted and shown."""
