"""Complete models out of timm and transformers, and their meters; no cascades and no data."""
