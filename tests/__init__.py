"""Tests mirror src/; run them from the repository root."""
