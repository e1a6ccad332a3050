"""Decisions: which offer, with which terms, by which channel, or none. Pure: no store, no web."""
