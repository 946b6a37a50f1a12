"""Small random pools to test sweep and search on: heavy ties, equal costs, odd confidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import Confidence
from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.cascade.objective import Accuracy, Objective
from cascade_exp.cascade.pools.base import StagePool, conditions, table_of
from cascade_exp.cascade.search.engine import cascades_of, search
from cascade_exp.cascade.stages import Compare, Stage
from cascade_exp.cascade.sweep import total_cost
from cascade_exp.errors import CascadeError
from tests.oracles import literal_thresholds as oracle


@dataclass
class TablePool:
    """Stages given as tables, by model or, where every stage has its own, by prefix."""

    names: tuple[str, ...]
    cost: np.ndarray
    stages: dict[tuple[int, ...], Stage]
    prefix_free: bool = True
    seed: int = 0
    asked: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(next(iter(self.stages.values())).prediction)

    def stage(self, members: tuple[int, ...]) -> Stage:
        self.asked.append(members)
        if self.prefix_free:
            return self.stages[members[-1:]]
        if members not in self.stages:  # a stage of its own for every prefix
            rng = np.random.default_rng([self.seed, *members])
            other = self.stages[members[-1:]]
            order = rng.permutation(self.size)
            self.stages[members] = Stage(
                other.confidence[order], other.prediction, other.statistics[order[::-1]]
            )
        return self.stages[members]

    def prefetch(self, inner, last, progress=None) -> None:
        """Nothing is computed together."""

    def final_statistics(self, members: tuple[int, ...]) -> np.ndarray:
        return self.stage(members).statistics

    @property
    def confidence(self) -> Confidence:
        return Confidence("table", "table")

    def describe(self, members, thresholds, compare) -> list[str]:
        return conditions(self.confidence, thresholds, compare)


CONFIDENCES = (0.0, -0.0, 0.25, 0.5, 0.75, 1.0, -3.5, 1e300, 5e-324, np.inf, -np.inf)


@st.composite
def pools(
    draw: st.DrawFn,
    objective: Objective,
    max_models: int = 4,
    max_size: int = 7,
    prefix_free: bool | None = None,
    costs: Sequence[float] = (1.0, 1.0, 2.0, 3.0, 7.0, 0.1, 0.3, 1e6, 1e-3),
) -> TablePool:
    """Pools of a few models on a few examples of two classes, in order of growing cost."""
    models = draw(st.integers(1, max_models))
    size = draw(st.integers(1, max_size))
    cost = np.sort(draw(st.lists(st.sampled_from(costs), min_size=models, max_size=models)))
    values = draw(st.sampled_from([CONFIDENCES, CONFIDENCES[:4], CONFIDENCES[:2]]))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    stages = {}
    for m in range(models):
        confidence = draw(st.lists(st.sampled_from(values), min_size=size, max_size=size))
        always = draw(st.sampled_from([None, None, None, True, False]))
        drawn = st.booleans() if always is None else st.just(always)
        right = np.array(draw(st.lists(drawn, min_size=size, max_size=size)), dtype=bool)
        prediction = np.where(right, labels, 1 - labels).astype(np.int64)
        statistics = objective.statistics(
            prediction, np.where(right, 0, 1).astype(np.int64), labels, 2
        )
        stages[(m,)] = Stage(np.array(confidence), prediction, statistics)
    if prefix_free is None:
        prefix_free = draw(st.booleans())
    names = draw(st.permutations("abcdefgh"[:models]))
    return TablePool(tuple(names), cost, stages, prefix_free, draw(st.integers(0, 9)))


def reapply(
    pool: StagePool,
    point: FrontPoint,
    objective: Objective,
    accounting: Accounting = "cumulative",
    compare: Compare = "ge",
) -> tuple[float, float]:
    """Mean cost and score of a setting applied literally by the engine to the pool's examples."""
    table = table_of(pool, point.members, accounting)
    outcome = table.run(point.thresholds, compare)
    reached = (outcome.exit_stage[:, None] >= np.arange(len(point.members))).sum(axis=0)
    cost = float(total_cost(reached, table.cost, accounting)) / pool.size
    totals = outcome.statistics.sum(axis=0)[None]
    return cost, float(objective.score(totals, pool.size)[0])


def one_model(size: int) -> TablePool:
    stage = Stage(np.zeros(size), np.zeros(size, np.int64), np.ones((size, 1), np.int64))
    return TablePool(("a",), np.array([1.0]), {(0,): stage})


def random_pool(
    seed: int,
    models: int,
    size: int,
    levels: int,
    prefix_free: bool = True,
    costs: Sequence[float] = (1.0, 1.5, 3.0, 10.0, 11.0, 40.0, 100.0),
    objective: Objective | None = None,
    alike: float = 0.7,
) -> TablePool:
    """Models of growing skill on one task, with ``levels`` distinct confidences each.

    The more ``alike`` (0 to 1), the more they find the same examples easy.
    """
    rng = np.random.default_rng(seed)
    objective = Accuracy() if objective is None else objective
    labels = rng.integers(0, 2, size)
    ease = rng.standard_normal(size)
    stages = {}
    for m in range(models):
        sure = 1.4 * (alike * ease + (1 - alike) * rng.standard_normal(size)) + 0.2 * m
        right = sure + rng.standard_normal(size) > 0.3
        confidence = np.round(1 / (1 + np.exp(-sure)) * levels) / levels
        prediction = np.where(right, labels, 1 - labels)
        statistics = objective.statistics(prediction, None, labels, 2)
        stages[(m,)] = Stage(confidence, prediction, statistics)
    names = tuple(rng.permutation(list("abcdefgh"))[:models].tolist())
    cost = np.sort(rng.choice(costs, models))
    return TablePool(names, cost, stages, prefix_free, seed)


def check_against_oracle(
    pool: TablePool,
    objective: Objective,
    stages: int,
    accounting: Accounting = "cumulative",
    compare: Compare = "ge",
    shared: bool = False,
    limit: float | None = None,
) -> None:
    """The search finds what trying every threshold finds, and every point holds when reapplied."""
    cascades = cascades_of(pool.cost, stages, limit, accounting)
    if not cascades:
        with pytest.raises(CascadeError, match="no cascade"):
            search(pool, objective, cascades=cascades, accounting=accounting)
        return
    result = search(
        pool,
        objective,
        max_stages=stages,
        accounting=accounting,
        compare=compare,
        shared=shared,
        worst_case_cost=limit,
        threads=2,
    )
    expected = oracle.front(pool, cascades, objective, accounting, compare, shared, limit)
    assert result.front == expected
    assert result.exact
    assert result.cascades == len(cascades)
    for point in result.front:
        assert all(type(threshold) is float for threshold in point.thresholds)
        assert reapply(pool, point, objective, accounting, compare) == (point.cost, point.score)


def check_against_sweep(
    pool: TablePool,
    stages: int,
    compare: Compare,
    cascades: Sequence[tuple[int, ...]] | None = None,
    accounting: Accounting = "cumulative",
) -> None:
    """The search by bounds finds what scoring every setting finds."""
    chosen = cascades_of(pool.cost, stages) if cascades is None else list(cascades)
    result, scored = (
        search(pool, objective, cascades=chosen, accounting=accounting, compare=compare, threads=2)
        for objective in (Accuracy(), Scored())
    )
    assert scored.exact
    assert result == scored
    for point in result.front:
        again = reapply(pool, point, Accuracy(), accounting, compare)
        assert again == (point.cost, point.score)


class Scored(Accuracy):
    """Accuracy that does not say it is a count, so that every setting is scored."""

    additive = False
