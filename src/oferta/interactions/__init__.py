"""From events to who had how much of what: id maps, weighting, histories."""
