"""What a new policy would have earned, from decisions that another policy made and logged."""
