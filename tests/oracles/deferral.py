"""Learned confidences fold by fold, example by example."""

import math

import numpy as np

from cascade_exp.cascade.pools.learned import DeferralModel


def log_odds(model: DeferralModel, confidence: float, prediction: int) -> float:
    """The formula of the docstring, for one example."""
    u = min(max((confidence - model.center) / model.scale, -30.0), 30.0)
    offsets = dict(zip(model.classes.tolist(), model.offsets.tolist(), strict=True))
    return model.offset + model.slope * u + offsets.get(prediction, 0.0)


def penalised_loss(model: DeferralModel, confidence, prediction, right, change=(0.0, 0.0)) -> float:
    """What scikit-learn minimises with C = 1, at the slope and offset moved by ``change``."""
    slope, offset = model.slope + change[0], model.offset + change[1]
    total = 0.5 * (slope**2 + float(np.sum(model.offsets**2)))
    for c, p, r in zip(confidence, prediction, right, strict=True):
        moved = DeferralModel(
            model.center, model.scale, slope, offset, model.classes, model.offsets
        )
        z = log_odds(moved, c, p)
        total += math.log1p(math.exp(-z if r else z))
    return total
