"""What models said: recorded outputs on disk, and recording them."""
