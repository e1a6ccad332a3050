"""Off-policy evaluation as a command, and its proof on data whose answer is known."""
