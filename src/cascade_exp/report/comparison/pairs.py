"""Jobs compared on the same examples: what each one's operating point is above another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade_exp.cascade.bootstrap import paired_intervals
from cascade_exp.cascade.stages import Ints, Outcome
from cascade_exp.errors import CascadeError
from cascade_exp.report.comparison.runs import ComparedRun, by_improvement, comparable
from cascade_exp.report.results.objective import objective_of
from cascade_exp.report.results.per_example import PerExample, read_per_example
from cascade_exp.report.results.schema import Difference, Results

SEED = 0


@dataclass(frozen=True)
class Pair:
    """A job's first operating point minus that of the job ``reference``, on the report split.

    Either ``difference`` or ``reason``, why there is none; the reference itself has neither.
    """

    reference: str
    difference: Difference | None = None
    reason: str | None = None


def pairs(runs: Sequence[ComparedRun]) -> dict[str, Pair]:
    """By name of a job with results, its paired difference from the one that selection ranks first.

    Only jobs of one objective and unit of cost are paired; a job alone of its kind is left out. The
    examples are the same where the ids are (in any order), or without ids the labels in order.
    """
    found: dict[str, Pair] = {}
    for members in comparable(runs).values():
        if len(members) < 2:
            continue
        first = max(members, key=by_improvement)
        base = _read(first)
        for run in members:
            found[run.name] = Pair(first.name) if run is first else _pair(run, first, base)
    return found


def _pair(run: ComparedRun, first: ComparedRun, base: PerExample | str) -> Pair:
    own = _read(run)
    for who, what in ((run, own), (first, base)):
        if isinstance(what, str):
            return Pair(first.name, reason=f"{who.name}: {what}")
    assert isinstance(own, PerExample) and isinstance(base, PerExample) and run.results
    rows = same_examples(own, base)
    if isinstance(rows, str):
        return Pair(first.name, reason=rows)
    here = _outcome(own, rows)
    return Pair(first.name, difference=_difference(here, _outcome(base), run.results, first.name))


def same_examples(own: PerExample, base: PerExample) -> Ints | str:
    """The rows of ``own`` [N] in the order of ``base``'s examples, or how the examples differ."""
    if len(own.labels) != len(base.labels):
        return f"other examples: {len(own.labels):,} and {len(base.labels):,}"
    rows = np.arange(len(own.labels))
    if own.ids is not None and base.ids is not None and not np.array_equal(own.ids, base.ids):
        mine, theirs = np.argsort(own.ids, kind="stable"), np.argsort(base.ids, kind="stable")
        if not np.array_equal(own.ids[mine], base.ids[theirs]):
            return "other examples: the ids differ"
        rows[theirs] = mine
        if len(np.unique(own.ids)) < len(rows):
            return "ids that repeat come in another order"
    if not np.array_equal(own.labels[rows], base.labels):
        return "other examples: the labels differ"
    return rows


def _difference(own: Outcome, base: Outcome, results: Results, reference: str) -> Difference:
    objective = objective_of(results)
    found, size = paired_intervals(own, base, objective, seed=SEED), len(own.cost)
    scores = [float(objective.score(one.statistics.sum(axis=0), size)) for one in (own, base)]
    return Difference(
        reference=reference,
        score=scores[0] - scores[1],
        score_interval=found.score_difference,
        cost=float(own.cost.mean()) - float(base.cost.mean()),
        cost_interval=found.cost_difference,
    )


def _outcome(found: PerExample, rows: Ints | None = None) -> Outcome:
    at = slice(None) if rows is None else rows
    none = np.zeros(len(found.labels), dtype=np.int64)
    return Outcome(none, none, found.statistics[at], found.cost[at], np.ones(1))


def _read(run: ComparedRun) -> PerExample | str:
    """What the job did to each example, or why that is not known."""
    assert run.results is not None
    sizes = run.results.settings["sizes"]
    assert isinstance(sizes, dict)
    try:
        found = read_per_example((run.folder or Path()) / "results", int(sizes["report"]))
    except CascadeError as error:
        return str(error)
    if found is None:
        return "no per_example.npz (its first rule chose nothing, or it was written before)"
    return found
