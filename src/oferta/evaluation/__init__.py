"""Splits, metrics and scorecards: figures that can be compared."""
