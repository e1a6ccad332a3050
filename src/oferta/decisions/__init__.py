"""Decisions: which offer, with which terms, through which channel, or none. Pure: no store, no web."""
