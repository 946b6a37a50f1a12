"""The results contract: typed results, and their files."""
