"""Command-line modules that are no job."""
