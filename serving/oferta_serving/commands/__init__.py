"""One module per command of the serving side."""
