"""Model inputs from customers' and products' attributes."""
