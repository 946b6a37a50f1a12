"""Thinned lines look the same on a screen, and shown rows hold what results name."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.report.thinning import BINS, shown_rows, thinned


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 4000, 4001, 20_000]),
    along=st.sampled_from([0, 1]),
    log=st.booleans(),
    levels=st.sampled_from([1, 3, 10**9]),
)
def test_every_part_of_the_axis_keeps_its_ends_and_extremes(seed, n, along, log, levels):
    rng = np.random.default_rng(seed)
    place = np.sort(rng.integers(0, levels, n) / levels * 1e4 + (1.0 if log else 0.0))
    other = rng.integers(0, levels, n).astype(float)
    points = [tuple(p[::-1]) if along else tuple(p) for p in np.stack([place, other], 1).tolist()]
    found = thinned(points, along, log)
    if n <= 4 * BINS:
        assert found == points
        return
    assert len(found) <= 4 * BINS
    scale = np.log(place) if log else place
    span = scale[-1] - scale[0]
    part = np.minimum((scale - scale[0]) / span * BINS, BINS - 1).astype(int) if span else place * 0
    kept = set(found)
    for cell in np.unique(part)[:: max(1, len(np.unique(part)) // 50)]:
        inside = [p for p, c in zip(points, part, strict=True) if c == cell]
        values = [p[1 - along] for p in inside]
        assert {inside[0], inside[-1]} <= kept
        drawn = [p[1 - along] for p in kept if p in set(inside)]
        assert (min(drawn), max(drawn)) == (min(values), max(values))
    order = {p: i for i, p in enumerate(points)}
    places = [order[p] for p in found]
    assert levels < 10**9 or places == sorted(places)


def test_named_rows_stay_in_tables(results):
    shown = shown_rows(results, most=2)
    named = [*results.operating_points.values()] + [f.top_setting for f in results.figures.values()]
    settings_of = {(tuple(row.stages), tuple(row.thresholds)) for row in shown}
    rows = {(tuple(row.stages), tuple(row.thresholds)) for row in results.frontier}
    wanted = {(tuple(s.stages), tuple(s.thresholds)) for s in named if s is not None} & rows
    assert wanted <= settings_of
    assert len(wanted) > 1
    assert shown[0] == results.frontier[0] and shown[-1] == results.frontier[-1]
    assert len(shown) <= 2 + len(wanted) + 2
    assert shown_rows(dataclasses.replace(results, frontier=shown)) == shown
