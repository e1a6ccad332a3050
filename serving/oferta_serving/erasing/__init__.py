"""Erasure and export of one customer: every place there is, put together."""
