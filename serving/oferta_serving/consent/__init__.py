"""Consent: written to the ledger before it is answered, asked of it for every answer."""
