"""Policies that speak to the customers of a simulated world, and what truly comes of it."""
