"""Slow, obviously right twins of what src/ does fast."""
