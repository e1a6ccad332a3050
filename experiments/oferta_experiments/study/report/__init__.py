"""What a study found as pages, text and plots: all of it from its result alone."""
