"""What may not be used of a customer, and how it is found in a table of attributes."""
