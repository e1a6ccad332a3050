"""The profile of a customer: facts with their source, segments, life-cycle stage, needs."""
