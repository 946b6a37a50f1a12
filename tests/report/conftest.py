"""Realistic ``Results`` for the tests of ``report/``: a seeded simulation, swept and measured here.

Logits are drawn from a small model of difficulty; confidences, sweeps, fronts, baselines, intervals
and reliability are computed from them by short, obvious code. No number is typed in.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.pools.base import conditions
from cascade_exp.report.results.schema import (
    FrontFigures,
    FrontRow,
    Measured,
    OperatingPoint,
    ReliabilityRow,
    Results,
    SingleModel,
    SweepCurve,
)

ROLES = ("selection", "report")

METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "max_softmax": lambda z: softmax(z).max(1),
    "entropy": lambda z: np.sum(softmax(z) * np.log(np.maximum(softmax(z), 1e-300)), axis=1),
    "logits_margin": lambda z: np.diff(np.sort(z, axis=1)[:, -2:], axis=1)[:, 0],
}


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@dataclass(frozen=True)
class Simulated:
    """Confidence [N], right-or-wrong [N] and max softmax [N] of each model on each split."""

    names: list[str]
    costs: list[float]
    confidence: dict[str, list[np.ndarray]]
    right: dict[str, list[np.ndarray]]
    max_softmax: dict[str, list[np.ndarray]]
    accounting: str = "cumulative"

    def exit_costs(self, members: tuple[int, ...]) -> np.ndarray:
        costs = np.array([self.costs[m] for m in members])
        return costs if self.accounting == "exit_tier" else np.cumsum(costs)


def simulate(
    skills: Mapping[str, float],
    costs: Mapping[str, float],
    metric: str,
    sizes: Mapping[str, int],
    seed: int,
    classes: int = 10,
) -> Simulated:
    """Models whose logits favour the right class by ``skill`` less the example's difficulty."""
    rng = np.random.default_rng(seed)
    names = sorted(skills, key=lambda name: costs[name])
    confidence: dict[str, list[np.ndarray]] = {}
    right: dict[str, list[np.ndarray]] = {}
    max_softmax: dict[str, list[np.ndarray]] = {}
    for role in ROLES:
        n = sizes[role]
        label = rng.integers(classes, size=n)
        difficulty = 4 * rng.beta(0.7, 2.0, size=(n, 1))
        shared = rng.normal(size=(n, classes))
        confidence[role], right[role], max_softmax[role] = [], [], []
        for name in names:
            noise = 0.8 * shared + 0.6 * rng.normal(size=(n, classes))
            logits = 2.0 * (skills[name] - difficulty) * np.eye(classes)[label] + 1.5 * noise
            confidence[role].append(METRICS[metric](logits))
            right[role].append(logits.argmax(1) == label)
            max_softmax[role].append(softmax(logits).max(1))
    return Simulated(names, [costs[name] for name in names], confidence, right, max_softmax)


def run(s: Simulated, role: str, members: tuple[int, ...], thresholds: tuple[float, ...]):
    """Right-or-wrong [N], cost [N] and exit stage [N] of one cascade: the literal exit rule."""
    n = len(s.right[role][0])
    stage = np.full(n, len(members) - 1)
    for i in reversed(range(len(members) - 1)):
        stage[s.confidence[role][members[i]] >= thresholds[i]] = i
    right = np.stack([s.right[role][m] for m in members])[stage, np.arange(n)]
    return right, s.exit_costs(members)[stage], stage


def knots(models: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(score, cost) corners of the lower convex hull of the non-dominated single models."""
    kept = sorted(
        (score, cost)
        for score, cost in models
        if not any((s >= score and c < cost) or (s > score and c <= cost) for s, c in models)
    )
    kept = sorted(set(kept))
    while True:
        bent = [
            b
            for a, b, c in zip(kept, kept[1:], kept[2:], strict=False)
            if b[1] >= a[1] + (c[1] - a[1]) * (b[0] - a[0]) / (c[0] - a[0])
        ]
        if not bent:
            return kept
        kept.remove(bent[0])


def improvement(line: list[tuple[float, float]], cost: float, score: float) -> float | None:
    scores, costs = zip(*line, strict=True)
    return None if score > scores[-1] else float(np.interp(score, scores, costs)) / cost


def measure(s, role, members, thresholds, line, rng, intervals) -> Measured:
    right, cost, stage = run(s, role, members, thresholds)
    picks = rng.integers(len(right), size=(300, len(right))) if intervals else None
    bounds = (
        [tuple(map(float, np.quantile(x[picks].mean(1), [0.025, 0.975]))) for x in (right, cost)]
        if picks is not None
        else [None, None]
    )
    return Measured(
        cost=float(cost.mean()),
        score=float(right.mean()),
        exit_rates=[float(np.mean(stage == i)) for i in range(len(members))],
        improvement=improvement(line, float(cost.mean()), float(right.mean())),
        score_interval=bounds[0],
        cost_interval=bounds[1],
    )


def reliability(s: Simulated, role: str, m: int) -> ReliabilityRow:
    confidence, right = s.confidence[role][m], s.right[role][m]
    easy, difficult = confidence[right][:, None], confidence[~right][None, :]
    pairs = easy.size * difficult.size
    p = s.max_softmax[role][m]
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [
        abs(right[bins == b].mean() - p[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return ReliabilityRow(
        model=s.names[m],
        split=role,
        score=float(right.mean()),
        dis=float(np.mean(difficult <= easy)) if pairs else None,
        ece=float(sum(gaps)),
        auroc=float(np.mean(difficult < easy) + np.mean(difficult == easy) / 2) if pairs else None,
    )


def figures(front, line, chosen_by=None) -> FrontFigures:
    """Headline figures of (cost, score) points; the mean factor on a fine grid of accuracies.

    The largest and the top one are chosen on ``chosen_by``, points and line of selection.
    """
    low, high = line[0][0], line[-1][0]
    chosen_front, chosen_line = chosen_by or (front, line)
    factor_of = {i: improvement(chosen_line, *point) for i, point in enumerate(chosen_front)}
    reached = [(f, chosen_front[i][1], i) for i, f in factor_of.items() if f is not None]
    peak = max(reached)[-1] if reached else None
    best = (None, None) if peak is None else (improvement(line, *front[peak]), front[peak][1])
    top = front[max(range(len(front)), key=lambda i: chosen_front[i][1])][1]
    grid = np.linspace(low, high, 500) if high > low else []
    factors = [
        improvement(line, min((c for c, s in front if s >= a), default=np.inf), a) for a in grid
    ]
    return FrontFigures(
        average_improvement=float(np.mean(factors)) if len(factors) else None,
        accuracy_range=(low, high),
        max_improvement=best[0],
        max_improvement_score=best[1],
        top_score=top,
        top_gain=top - high,
    )


def words(metric, thresholds) -> list[str]:
    return conditions(make_metric(metric), thresholds, "ge")


def build_results(
    s: Simulated,
    metric: str = "max_softmax",
    unit: str = "macs",
    max_stages: int = 2,
    same_split: bool = False,
) -> Results:
    """Sweep every cascade of ``s``, choose by three rules on selection, measure on report."""
    rng = np.random.default_rng(0)
    pool = range(len(s.names))
    settings_of: list[tuple[tuple[int, ...], tuple[float, ...]]] = [((m,), ()) for m in pool]
    for n in range(2, max_stages + 1):
        for members in itertools.combinations(pool, n):
            axes = [
                [*(np.unique(s.confidence["selection"][m])[:: 1 if n == 2 else 12]), np.inf]
                for m in members[:-1]
            ]
            settings_of += [(members, tuple(map(float, t))) for t in itertools.product(*axes)]
    swept = []
    for members, thresholds in settings_of:
        right, cost, _ = run(s, "selection", members, thresholds)
        swept.append((float(cost.mean()), -float(right.mean()), len(members), members, thresholds))
    swept.sort()
    front, best_score = [], -1.0
    for cost, negative, _, members, thresholds in swept:
        if -negative > best_score:
            front.append((members, thresholds, cost, -negative))
            best_score = -negative

    lines = {
        role: knots(
            [(float(s.right[role][m].mean()), float(s.costs[m])) for m in pool],
        )
        for role in ROLES
    }

    def both(members, thresholds):
        return {
            role: measure(s, role, members, thresholds, lines[role], rng, role == "report")
            for role in ROLES
        }

    def point(rule, chosen):
        if chosen is None:
            return OperatingPoint(rule, False, "no setting costs so little (cheapest model first)")
        members, thresholds = chosen[:2]
        return OperatingPoint(
            rule=rule,
            feasible=True,
            stages=[s.names[m] for m in members],
            thresholds=list(thresholds),
            conditions=words(metric, thresholds),
            stage_costs=[float(s.costs[m]) for m in members],
            worst_case_cost=float(s.exit_costs(members).max()),
            **both(members, thresholds),
        )

    rows = []
    for members, thresholds, cost, score in front:
        measured = measure(s, "report", members, thresholds, lines["report"], rng, False)
        rows.append(
            FrontRow(
                stages=[s.names[m] for m in members],
                thresholds=list(thresholds),
                exit_rates=measure(
                    s, "selection", members, thresholds, lines["selection"], rng, False
                ).exit_rates,
                cost=cost,
                worst_case_cost=float(s.exit_costs(members).max()),
                score=score,
                improvement=improvement(lines["selection"], cost, score),
                report_cost=measured.cost,
                report_score=measured.score,
            )
        )
    goal = lines["selection"][-1][0]
    chosen = {
        "match_accuracy": min((p for p in front if p[3] >= goal), key=lambda p: p[2]),
        "max_improvement": max(
            (p for p in front if lines["selection"][0][0] <= p[3] <= goal),
            key=lambda p: improvement(lines["selection"], p[2], p[3]) or 0.0,
        ),
        "target_cost": next((p for p in front if p[2] < min(s.costs) / 2), None),
    }
    members, thresholds = chosen["match_accuracy"][:2]
    curve = None
    if len(members) > 1:
        later = thresholds[1:]
        swept_t = [-np.inf, *np.unique(s.confidence["selection"][members[0]])[1:], np.inf]
        runs = {
            role: [run(s, role, members, (float(t), *later)) for t in swept_t] for role in ROLES
        }
        curve = SweepCurve(
            thresholds=list(map(float, swept_t)),
            cost={role: [float(r[1].mean()) for r in runs[role]] for role in ROLES},
            score={role: [float(r[0].mean()) for r in runs[role]] for role in ROLES},
        )
    return Results(
        settings={
            "metric": metric,
            "confidence": {"name": metric, "label": make_metric(metric).label},
            "ensemble": "none",
            "calibration": "none",
            "objective": "accuracy",
            "cost": {"name": "table", "column": unit, "unit": unit},
            "accounting": s.accounting,
            "baseline": "hull",
            "compare": "ge",
            "splits": {"selection": "selection", "report": "selection" if same_split else "report"},
            "sizes": {role: len(s.right[role][0]) for role in ROLES},
            "exact": True,
        },
        single_models=[SingleModel(s.names[m], **both((m,), ())) for m in pool],
        frontier=rows,
        operating_points={rule: point(rule, c) for rule, c in chosen.items()},
        chosen="match_accuracy",
        figures={
            "selection": figures([(p[2], p[3]) for p in front], lines["selection"]),
            "report": figures(
                [(r.report_cost, r.report_score) for r in rows],
                lines["report"],
                ([(p[2], p[3]) for p in front], lines["selection"]),
            ),
        },
        baseline=lines,
        reliability=[reliability(s, role, m) for role in ROLES for m in pool],
        temperatures={},
        learned={},
        sweep_curve=curve,
        environment={"python": "3.11", "numpy": np.__version__, "git": None, "seeds": [0]},
        conditions=lambda row: words(metric, row.thresholds),
    )


@functools.cache
def simulated_results(
    models: tuple[tuple[str, float, float], ...] = (
        ("resnet20", 3.2, 40_551_040.0),
        ("resnet32", 3.6, 68_862_592.0),
        ("resnet56", 4.2, 125_485_696.0),
    ),
    metric: str = "max_softmax",
    size: int = 400,
    seed: int = 0,
    unit: str = "macs",
    max_stages: int = 2,
    accounting: str = "cumulative",
    same_split: bool = False,
) -> Results:
    """Results of models given as (name, skill, cost) on ``size`` examples a split."""
    s = simulate(
        skills={name: skill for name, skill, _ in models},
        costs={name: cost for name, _, cost in models},
        metric=metric,
        sizes={"selection": size, "report": size},
        seed=seed,
    )
    s = replace(s, accounting=accounting)
    return build_results(s, metric, unit, max_stages, same_split)


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    """The simulation itself; equal arguments give the same object."""
    return simulated_results


@pytest.fixture(scope="session")
def results() -> Results:
    """Three models, 400 examples a split, two stages."""
    return simulated_results()
