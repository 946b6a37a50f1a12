"""Fine-tuning complete models with Lightning."""
