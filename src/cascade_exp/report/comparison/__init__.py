"""Several jobs or methods compared: their tables and what is best per budget."""
