"""What is drawn and shown of a long Pareto front; ``frontier.csv`` keeps every row.

A screen has about a thousand pixels along an axis. Of a line, each of ``BINS`` parts of its axis
keeps its first, last, lowest and highest point (M4 aggregation, Jugel et al. 2014), so that the
picture is the same. Of a table, rows are evenly spread, and the rows that results name stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_exp.report.results.schema import FrontRow, Results

BINS = 1000
SHOWN_ROWS = 1000
"""Rows of a front that a table on a screen shows."""

Point = tuple[float, float]


def thinned(points: Sequence[Point], along: int = 0, log: bool = False) -> list[Point]:
    """At most ``4 * BINS`` of a line's points, in order, that look the same on a screen.

    >>> line = [(i / 1e5, float(i % 2)) for i in range(100_000)]
    >>> found = thinned(line)
    >>> len(found) <= 4 * BINS, found[0] == line[0], found[-1] == line[-1]
    (True, True, True)

    Args:
        along: the coordinate that never falls along the line. log: whether its axis is logarithmic.
    """
    if len(points) <= 4 * BINS:
        return list(points)
    values = np.array(points, dtype=np.float64)
    place, other = values[:, along], values[:, 1 - along]
    if log:
        place = np.log(np.maximum(place, place[place > 0].min(initial=np.inf)))
    low, high = place.min(), place.max()
    part = np.zeros(len(place), dtype=np.int64)
    if high > low:
        part = np.minimum(((place - low) / (high - low) * BINS).astype(np.int64), BINS - 1)
    starts = np.flatnonzero(np.append(True, part[1:] != part[:-1]))
    ends = np.append(starts[1:], len(part)) - 1
    run = np.repeat(np.arange(len(starts)), ends - starts + 1)
    ordered = np.lexsort((other, run))
    kept = np.unique(np.concatenate([starts, ends, ordered[starts], ordered[ends]]))
    return [points[i] for i in kept.tolist()]


def shown_rows(results: Results, most: int = SHOWN_ROWS) -> list[FrontRow]:
    """At most ``most`` rows of the front, evenly spread, both ends included, and those of operating
    points and headline figures besides."""
    rows = results.frontier
    if len(rows) <= most:
        return rows
    kept = set(np.linspace(0, len(rows) - 1, most).round().astype(int).tolist())
    named = {
        (tuple(setting.stages), tuple(setting.thresholds))
        for setting in (
            *results.operating_points.values(),
            *(figures.max_improvement_setting for figures in results.figures.values()),
            *(figures.top_setting for figures in results.figures.values()),
        )
        if setting is not None
    }
    kept |= {i for i, row in enumerate(rows) if (tuple(row.stages), tuple(row.thresholds)) in named}
    return [rows[i] for i in sorted(kept)]
