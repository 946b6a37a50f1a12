"""Experiment trackers: W&B, MLflow, TensorBoard, CSV."""
