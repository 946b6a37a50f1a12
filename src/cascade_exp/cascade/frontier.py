"""The front of non-dominated settings, the single-model baseline, and the improvement factor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrontPoint:
    """A cascade at one setting of its thresholds, with what it does on the split it was found on.

    Attributes:
        members: indices into the pool's models, in running order (a single model is one member).
        thresholds: one fewer than members, in stage order; plain floats.
        cost: mean cost per example. score: the objective, a fraction 0..1.
        worst_case_cost: cost of running every stage.
    """

    members: tuple[int, ...]
    thresholds: tuple[float, ...]
    cost: float
    score: float
    worst_case_cost: float
