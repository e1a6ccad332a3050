"""One module per command of the training side. Heavy imports stay inside the functions."""
