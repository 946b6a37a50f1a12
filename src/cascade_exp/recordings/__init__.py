"""Recorded outputs of models on disk, and recording them."""
