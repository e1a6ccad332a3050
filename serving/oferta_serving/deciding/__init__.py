"""Decisions as a service: what is known, read; decided, purely; committed, exactly; answered."""
