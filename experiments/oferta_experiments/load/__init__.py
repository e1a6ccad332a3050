"""`make load`: what the API stands, against a bare handler in the same run."""
