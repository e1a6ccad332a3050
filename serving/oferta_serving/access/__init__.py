"""Who may ask for what, how often, and whose data it is."""
