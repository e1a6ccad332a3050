"""Speed and memory as ratios to bare libraries, both sides in one run on the same cores."""
