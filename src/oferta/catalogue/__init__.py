"""What is sold: products, their dates, status and names."""
