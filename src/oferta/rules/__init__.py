"""The rule language: SQL boolean and arithmetic expressions over declared columns."""
