"""cascade-exp: model cascades, from training to thresholds."""
