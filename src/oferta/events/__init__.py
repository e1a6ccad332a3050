"""What customers did: event types, and ingest from files into a dataset."""
