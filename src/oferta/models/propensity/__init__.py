"""How likely a customer chooses each product within a horizon, by what is known of them today."""
