"""Model inputs made of what is known of customers and products beside their events."""
