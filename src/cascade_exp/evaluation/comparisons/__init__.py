"""Several methods, speed-ups, tiers or jobs side by side."""
