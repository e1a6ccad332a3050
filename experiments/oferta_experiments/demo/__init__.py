"""The demo: the whole loop on real data, by the commands that a user would type."""
