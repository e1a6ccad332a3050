"""Recommendations and next best offers: what training, serving and experiments agree on."""
