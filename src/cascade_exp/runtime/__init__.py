"""Cascades that run: models joined with thresholds, answering raw inputs."""
