"""Terms of an offer, from the rate card alone: behind the price firewall."""
