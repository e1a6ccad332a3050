"""Commands of the experiments side, one module per topic."""
