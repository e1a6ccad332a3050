"""A simulated auto-finance seller whose truth is known. No person, make or figure in it is real."""
