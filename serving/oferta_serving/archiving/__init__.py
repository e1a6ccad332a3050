"""The archive: accepted events from the streams to files, each exactly once."""
