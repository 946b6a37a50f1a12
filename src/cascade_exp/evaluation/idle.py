"""Stages that answer almost nobody and bring nothing that the selection split can show.

The search is exact on the selection split, so a third stage that answers three of 5,000 examples
can be on its front by chance. Every example that reaches such a stage pays for it, and the worst
case pays for it in full. Here such a stage is found by the paired bootstrap over the selection
split: with it and without it, all other thresholds kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from cascade_exp.cascade.bootstrap import paired_intervals
from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.evaluation.kinds.exits import ExitsOfOne
from cascade_exp.evaluation.measuring import Measuring

ALMOST_NOBODY = 0.05
"""A stage that answers at least this share of the selection split is never idle."""

GIVEN = ("fixed", "guaranteed")
"""Rules whose setting is left as it is: it was given, or its guarantee is for it alone."""


def without(point: FrontPoint, place: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Members and thresholds of the cascade of ``point`` without the stage at ``place``.

    Without the last stage, the one before it answers all that reaches it.

    >>> point = FrontPoint((4, 7, 9), (0.5, 0.8), cost=1.0, score=0.9, worst_case_cost=3.0)
    >>> [without(point, place) for place in range(3)]
    [((7, 9), (0.8,)), ((4, 9), (0.5,)), ((4, 7), (0.5,))]
    """
    cut = min(place, len(point.thresholds) - 1)
    return (
        point.members[:place] + point.members[place + 1 :],
        point.thresholds[:cut] + point.thresholds[cut + 1 :],
    )


def idle_places(measuring: Measuring, point: FrontPoint) -> list[int]:
    """Places of the idle stages of a setting, by the selection split.

    A stage is idle if it answers less than :data:`ALMOST_NOBODY` of all examples, and the paired
    95 % intervals of its score and of its mean cost, each minus those without it, show neither a
    gain of score (low end > 0) nor a saving (high end < 0). Exits of one network are left out:
    their layers run in any case.
    """
    if len(point.members) < 2 or isinstance(measuring.splits.kind, ExitsOfOne):
        return []
    selection = measuring.splits.selection
    outcome = measuring.outcome(selection, point.members, point.thresholds)
    settings = measuring.splits.settings
    found = []
    for place, share in enumerate(outcome.exit_rates.tolist()):
        if share >= ALMOST_NOBODY:
            continue
        shorter = measuring.outcome(selection, *without(point, place))
        gains = paired_intervals(
            outcome, shorter, selection.objective, settings.seed, settings.bootstrap.resamples
        )
        if gains.score_difference[0] <= 0 and gains.cost_difference[1] >= 0:
            found.append(place)
    return found


def drop_idle(measuring: Measuring, point: FrontPoint) -> tuple[FrontPoint, list[str]]:
    """``point`` without its idle stages, one by one, and their names in the order they went.

    Of several idle stages the one that answers fewest examples goes first, the later of equals;
    whether the others are idle is then seen anew.
    """
    selection = measuring.splits.selection
    dropped: list[str] = []
    while places := idle_places(measuring, point):
        rates = measuring.outcome(selection, point.members, point.thresholds).exit_rates
        place = min(places, key=lambda at: (rates[at], -at))
        dropped.append(selection.pool.names[point.members[place]])
        point = measuring.point(selection, *without(point, place))
    return point, dropped


def named(measuring: Measuring, point: FrontPoint, places: Sequence[int]) -> list[str]:
    """The names of the stages at ``places`` of a setting."""
    names = measuring.splits.selection.pool.names
    return [names[point.members[place]] for place in places]
