"""What there is to say about ``Results``, in words and comparisons; terminal and HTML both say it.

No layout and no files here. Roles are ``selection`` and ``report``, as in ``Results.figures``; the
split that plays a role is named in ``settings["splits"]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from cascade_exp.cascade.costs import Accounting, exit_costs
from cascade_exp.cascade.frontier import Baseline
from cascade_exp.cascade.pools.base import condition
from cascade_exp.cascade.stages import Compare
from cascade_exp.report.pages import numbers
from cascade_exp.report.results.schema import (
    FrontRow,
    Measured,
    OperatingPoint,
    Results,
    SingleModel,
)
from cascade_exp.report.sentences import stated

INTERVALS = f"95{numbers.SPACE}%"

TOO_FEW = 0.05
"""Examples are too few to compare scores if a difference of this size may go unnoticed."""
CLOSE = 0.05
"""A score "comes within" a difference up to this one of another."""

_OBJECTIVES = {"topk_accuracy": "top-k accuracy", "f1": "F1", "mean_iou": "mean IoU"}


@dataclass(frozen=True)
class Words:
    """A piece of a sentence; ``name`` marks a model's or cascade's name, to be set apart."""

    text: str
    name: bool = False


Sentence = list[Words]


@dataclass(frozen=True)
class StageView:
    """One stage of an operating point, as measured on the report split.

    Attributes:
        leaves: when an example leaves here, in words.
        reaches, exits: shares of all examples that come here, and that leave here.
        own_cost: the cost of running this stage; paid: what an example pays that leaves here.
    """

    name: str
    leaves: str
    reaches: float
    exits: float
    selection_exits: float
    own_cost: float
    paid: float


@dataclass(frozen=True)
class Saving:
    """An operating point against the best single model, both on the report split.

    ``share`` is the share of the cost saved (negative: costs more), ``factor`` best cost / cost
    (None where the point costs nothing), ``score_change`` the point's score minus the best model's.
    """

    share: float
    factor: float | None
    score_change: float


def unit(results: Results) -> str:
    """The unit of every cost."""
    return str(_mapping(results, "cost")["unit"])


def objective(results: Results) -> str:
    """The objective's name in prose: ``accuracy``, ``F1``."""
    name = str(results.settings["objective"])
    return _OBJECTIVES.get(name, name)


def split(results: Results, role: str) -> str:
    """The name of the split that plays ``role``."""
    return str(_mapping(results, "splits")[role])


def size(results: Results, role: str) -> int:
    """Number of examples of the split that plays ``role``."""
    return int(_mapping(results, "sizes")[role])


def same_split(results: Results) -> bool:
    """Whether thresholds were chosen on the very examples that are reported."""
    return split(results, "selection") == split(results, "report")


def best_single(results: Results) -> SingleModel:
    """The best single model on the selection split, the cheaper of equals: what one would deploy
    without cascades, picked without looking at the report split."""
    return max(results.single_models, key=lambda m: (m.selection.score, -m.selection.cost))


@stated
def best_mark(results: Results) -> str:
    """How a table of scores on report marks the best single model on selection."""
    best = best_single(results)
    here = max(model.report.score for model in results.single_models)
    return "best" if best.report.score == here else f"best on {split(results, 'selection')}"


def chosen(results: Results) -> OperatingPoint | None:
    """The chosen operating point, None when no rule could be met."""
    return None if results.chosen is None else results.operating_points[results.chosen]


def reported(point: OperatingPoint) -> Measured:
    """A feasible point's report-split measurements."""
    if point.report is None:
        raise ValueError(f"operating point {point.rule!r} is feasible, but has no report numbers")
    return point.report


def saving(results: Results, point: OperatingPoint) -> Saving:
    """``point`` against the best single model, on the report split."""
    best, found = best_single(results).report, reported(point)
    return Saving(
        share=1 - _relative(found.cost, best.cost),
        factor=best.cost / found.cost if found.cost > 0 else None,
        score_change=found.score - best.score,
    )


def _relative(cost: float, to: float) -> float:
    """``cost`` as a share of the cost ``to``, which may be 0: as much is then all of it."""
    return cost / to if to > 0 else (1.0 if cost == to else math.inf)


def unseen_difference(size: int) -> float:
    """The largest share of examples that may differ though none of ``size`` does, at 95 %.

    1 − 0.05^(1/size), the exact upper bound of a share of which nothing was seen (about 3/size).

    >>> [round(unseen_difference(size), 3) for size in (5, 59, 5000)]
    [0.451, 0.05, 0.001]
    """
    return float(1 - 0.05 ** (1 / size))


def too_few(results: Results) -> bool:
    """Whether the report split is too small for what is said of a difference between scores."""
    return unseen_difference(size(results, "report")) > TOO_FEW


@stated
def saving_words(results: Results, point: OperatingPoint) -> str:
    """``35.1 % less than resnet56 alone (1.54×)``."""
    against, best = saving(results, point), best_single(results)
    if point.stages == [best.name]:
        return f"none: it is the best single model on {split(results, 'selection')}"
    if against.share == 0:
        return f"as much as {best.name} alone"
    if math.isinf(against.share):
        return f"more than {best.name} alone, which costs nothing"
    word = "less"
    share = numbers.percent(abs(against.share))
    factor = f" ({numbers.factor(against.factor)})" if against.factor is not None else ""
    return f"{share} {word} than {best.name} alone{factor}"


@stated
def score_words(results: Results, point: OperatingPoint) -> str:
    """``82.2 % [81.3, 83.2], 1.3 points below resnet56 alone``."""
    found, best = reported(point), best_single(results)
    text = numbers.score_with_interval(found.score, found.score_interval)
    if point.stages == [best.name]:
        return text
    change = saving(results, point).score_change
    if _equal(change):
        same = "the same as" if change == 0 else f"within {numbers.points(0.001)} of"
        return f"{text}, {same} {best.name} alone"
    return (
        f"{text}, {numbers.points(change)} {'above' if change > 0 else 'below'} {best.name} alone"
    )


def _equal(change: float) -> bool:
    """Whether a difference of scores reads as none."""
    return numbers.points(change) == numbers.points(0.0)


@stated
def difference_words(results: Results, point: OperatingPoint) -> str:
    """``−1.3 points [−2.0, −0.6], −44.1 M MACs [−45.2M, −43.1M] against resnet56``.

    The paired difference from the reference with its intervals; empty for the reference itself, and
    in results that were written without it.
    """
    found = point.difference
    if found is None or point.stages == [found.reference]:
        return ""
    cost = numbers.cost_difference(found.cost, found.cost_interval, unit(results))
    score = f"{numbers.gain(found.score)}{numbers.SPACE}points"
    return f"{score} {_gains(found.score_interval)}, {cost} against {found.reference}"


def _gains(pair: tuple[float, float]) -> str:
    return f"[{numbers.gain(pair[0])},{numbers.SPACE}{numbers.gain(pair[1])}]"


def _noise(point: OperatingPoint, best: SingleModel) -> str:
    """How sure the score's difference from the best single model is, for the headline."""
    found = point.difference
    if found is None or found.reference != best.name:
        return ""
    low, high = found.score_interval
    within = ", which includes no difference" if low <= 0 <= high else ""
    return f"; difference {_gains(found.score_interval)} points{within}"


@stated
def improvement_words(results: Results, point: OperatingPoint) -> str:
    """``1.42× against single models of the same accuracy``."""
    found = reported(point).improvement
    if found is None and reported(point).cost == 0:
        return "not defined: it costs nothing"
    if found is None:
        return "no single model scores as high"
    return f"{numbers.factor(found)} against single models of the same {objective(results)}"


def confidence_name(results: Results) -> str:
    """What thresholds are compared with, by its name in files: ``entropy``."""
    return str(_mapping(results, "confidence")["name"])


def confidence(results: Results) -> str:
    """What thresholds are compared with, as axes and tables name it: ``−entropy``."""
    return str(_mapping(results, "confidence")["label"])


def model_confidence(results: Results) -> tuple[str, str]:
    """The confidence of single models that reliability is measured of: name and label.

    Another one than that of thresholds where stages are no single models: a vote is a tier's.
    """
    found = results.settings.get("model_confidence") or results.settings["confidence"]
    found = cast(Mapping[str, str], found)
    return found["name"], found["label"]


def stages(results: Results, point: OperatingPoint) -> list[StageView]:
    """The stages of a feasible operating point, in running order."""
    accounting = cast(Accounting, results.settings["accounting"])
    paid = exit_costs(np.array(point.stage_costs), accounting).tolist()
    rates = reported(point).exit_rates
    selection = point.selection.exit_rates if point.selection else rates
    return [
        StageView(
            name=name,
            leaves=point.conditions[i] if i < len(point.conditions) else "always",
            reaches=1.0 if i == 0 else min(max(1 - sum(rates[:i]), 0.0), 1.0),
            exits=rates[i],
            selection_exits=selection[i],
            own_cost=point.stage_costs[i],
            paid=paid[i],
        )
        for i, name in enumerate(point.stages)
    ]


def rules_by_setting(results: Results) -> list[tuple[list[str], OperatingPoint]]:
    """Operating points in their order, rules that chose the same setting grouped together."""
    groups: list[tuple[list[str], OperatingPoint]] = []
    for rule, point in results.operating_points.items():
        same = [
            rules
            for rules, other in groups
            if point.feasible
            and (other.stages, other.thresholds) == (point.stages, point.thresholds)
        ]
        if same:
            same[0].append(rule)
        else:
            groups.append(([rule], point))
    return groups


def baseline_costs(results: Results, role: str, scores: list[float]) -> list[float | None]:
    """What single models cost at each score on a split; None above the best one's."""
    line = Baseline(tuple(results.baseline[role]), kind="hull")
    return [None if math.isnan(cost) else cost for cost in line.cost_at(scores).tolist()]


def report_improvements(results: Results) -> list[float | None]:
    """Per row of the Pareto front, the improvement factor of its setting on the report split."""
    rows = results.frontier
    costs = baseline_costs(results, "report", [row.report_score for row in rows])
    return [
        None if cost is None or row.report_cost == 0 else cost / row.report_cost
        for cost, row in zip(costs, rows, strict=True)
    ]


@stated
def headline(results: Results) -> Sentence:
    """The one sentence that says what came out, on the report split."""
    point, best = chosen(results), best_single(results)
    if point is None:
        reasons = [p.reason for p in results.operating_points.values() if p.reason]
        return [Words(f"No rule could be met: {reasons[0] if reasons else 'none was asked for'}.")]
    found = reported(point)
    name = Words(">".join(point.stages), name=True)
    score = numbers.score_with_interval(found.score, found.score_interval)
    if point.stages == [best.name]:
        cost = numbers.cost(found.cost, unit(results))
        return [
            Words("No cascade was chosen: "),
            name,
            Words(f" alone, the best model on {split(results, 'selection')}, {score} at {cost}."),
            Words(_few_words(results)),
        ]
    verb, theirs = _compared(results, point, best)
    alone = " alone" if len(point.stages) == 1 else ""
    return [
        name,
        Words(f"{alone} {verb} "),
        Words(best.name, name=True),
        Words(f" ({score}{theirs}{_noise(point, best)}) {_price(results, found, best)}."),
        Words(_few_words(results)),
    ]


def _compared(results: Results, point: OperatingPoint, best: SingleModel) -> tuple[str, str]:
    """How the score compares with the best single model's: a verb, and what stands behind it."""
    change, theirs = saving(results, point).score_change, numbers.score(best.report.score)
    gap = numbers.points(change)
    if _equal(change):
        verb = "scores the same as" if too_few(results) else "keeps the score of"
        return verb, "" if numbers.score(reported(point).score) == theirs else f" against {theirs}"
    if change < 0:
        verb = f"comes within {gap} of" if -change <= CLOSE else f"scores {gap} less than"
        return verb, f" against {theirs}"
    found = point.difference
    known = found is None or found.reference != best.name or found.score_interval[0] > 0
    if known and not too_few(results):
        return "beats", f", {gap} more"
    return f"scores {gap} more than", f" against {theirs}"


def _price(results: Results, found: Measured, best: SingleModel) -> str:
    share = _relative(found.cost, best.report.cost)
    if math.isinf(share):
        return f"at {numbers.cost(found.cost, unit(results))}, where that costs nothing"
    return f"at {numbers.percent(share, 0)} of its cost"


def _few_words(results: Results) -> str:
    """What few examples cannot show; empty where they are enough."""
    if not too_few(results):
        return ""
    n = size(results, "report")
    return (
        f" {numbers.count(n)} example{' is' if n == 1 else 's are'} too few to compare scores: two "
        f"models that answer them alike may differ on {numbers.percent(unseen_difference(n), 0)} "
        "of all others."
    )


@stated
def figures_sentence(results: Results) -> str:
    """Average, maximum and top of the Pareto front on the report split, in a few sentences.

    The settings of the maximum and of the top were chosen on the selection split, and the sentences
    say so.
    """
    figures, name = results.figures["report"], objective(results)
    chosen_on, on = split(results, "selection"), split(results, "report")
    parts = [_average_sentence(results)]
    if figures.max_improvement_score is not None:
        at = numbers.score(figures.max_improvement_score)
        parts.append(
            f"The setting of the largest improvement on {chosen_on} "
            + (
                f"scores {at}{_undefined(results)}."
                if figures.max_improvement is None
                else f"reaches {numbers.factor(figures.max_improvement)} at {at}."
            )
        )
    gain = figures.top_gain
    against = (
        "the same as the best single model there"
        if _equal(gain)
        else f"{numbers.points(gain)} {'above' if gain > 0 else 'below'} the best single model "
        "there"
    )
    parts.append(
        f"The setting of the highest {name} on {chosen_on} scores "
        f"{numbers.score(figures.top_score)} on {on}, {against}."
    )
    return " ".join(parts)


def _average_sentence(results: Results) -> str:
    figures = results.figures["report"]
    low, high = figures.accuracy_range
    if figures.average_improvement is not None:
        return (
            f"Average improvement {numbers.factor(figures.average_improvement)} over "
            f"{objective(results)} {numbers.score(low)} to {numbers.score(high)}."
        )
    if low < high:
        return "No average improvement: settings of the Pareto front cost nothing."
    return (
        "No average improvement: no single model scores above the cheapest one, "
        f"{numbers.score(high)}."
    )


def _undefined(results: Results) -> str:
    """Why the largest improvement has no factor on the report split."""
    figures = results.figures["report"]
    score = figures.max_improvement_score
    if score is not None and score > figures.accuracy_range[1]:
        return ", more than any single model"
    return " and costs nothing"


@stated
def split_sentence(results: Results) -> str:
    """On which examples thresholds were chosen, and on which the numbers were taken."""
    chosen_on, n = split(results, "selection"), numbers.count(size(results, "selection"))
    if same_split(results):
        return (
            f"Thresholds were chosen and measured on the same split, {chosen_on} ({n} examples): "
            "these numbers are optimistic. Choose on a separate split before relying on "
            "them."
        )
    shared = int(cast(int, results.settings.get("shared_examples", 0)))
    seen = (
        f"{numbers.count(shared)} of which are in {chosen_on}, too"
        if shared
        else "which no choice has seen"
    )
    return (
        f"Thresholds were chosen on {chosen_on} ({n} examples); scores, costs and their "
        f"{INTERVALS} bootstrap intervals are from {split(results, 'report')} "
        f"({numbers.count(size(results, 'report'))} examples), {seen}."
    )


@stated
def cautions(results: Results) -> list[str]:
    """What a reader must know before trusting the headline; usually little or nothing."""
    found = [split_sentence(results)] if same_split(results) else []
    best, ahead = best_single(results), _ahead(results)
    if ahead is not None:
        on = split(results, "report")
        found.append(
            f"{ahead.name} scores {numbers.score(ahead.report.score)} on {on}, where {best.name}, "
            f"the best single model on {split(results, 'selection')}, scores "
            f"{numbers.score(best.report.score)}: the splits differ by more than chance."
        )
    for rules, point in rules_by_setting(results):
        found += [
            f"{' and '.join(rules)}: {words}"
            for words in (selection_only(point), *idle_words(results, point))
            if words
        ]
    if results.settings["accounting"] == "exit_tier":
        found.append(
            "Costs count only the tier that answered (cost.accounting=exit_tier); earlier stages "
            "that ran are not paid."
        )
    if not results.settings["exact"]:
        note = results.settings.get("search_note", "cheaper settings may exist")
        found.append(f"The Pareto front is not exact: {note}.")
    return found


@stated
def idle_words(results: Results, point: OperatingPoint) -> list[str]:
    """What idle and dropped stages of a point answer and bring (``threshold.drop_idle``)."""
    chosen_on, found = split(results, "selection"), []
    for name in point.idle:
        assert point.selection is not None
        share = point.selection.exit_rates[point.stages.index(name)]
        found.append(
            f"{name} answers {numbers.percent(share)} of {chosen_on}, and brings neither a score "
            "nor a saving that stands out of the paired intervals there; threshold.drop_idle=true "
            "drops it."
        )
    if point.dropped:
        found.append(
            f"without {', '.join(point.dropped)}, idle on {chosen_on} (threshold.drop_idle=true)."
        )
    return found


def _ahead(results: Results) -> SingleModel | None:
    """A model that scores higher on report than the best one on selection, beyond the intervals."""
    best = best_single(results)
    top = max(results.single_models, key=lambda m: m.report.score)
    theirs, its = best.report.score_interval, top.report.score_interval
    if theirs is None or its is None or too_few(results) or its[0] <= theirs[1]:
        return None
    return top


@stated
def selection_only(point: OperatingPoint) -> str | None:
    """Where an improvement was found on the selection split and is gone on the report split."""
    if point.selection is None or point.report is None:
        return None
    there, here = point.selection.improvement, point.report.improvement
    if there is None or here is None or there <= 1 or here > 1:
        return None
    return (
        f"the improvement is selection-only: {numbers.factor(there)} there, "
        f"{numbers.factor(here)} on report."
    )


def front_label(results: Results, row: FrontRow) -> list[str]:
    """A Pareto front's point, in lines: cascade, thresholds, both splits' cost and score."""
    lines = [">".join(row.stages)]
    lines += [
        f"{name} answers if {words}"
        for name, words in zip(row.stages, _conditions(results, row), strict=False)
    ]
    for role, score, cost in (
        ("report", row.report_score, row.report_cost),
        ("selection", row.score, row.cost),
    ):
        lines.append(f"{role}: {numbers.score(score)} at {numbers.cost(cost, unit(results))}")
    return lines


def _conditions(results: Results, row: FrontRow) -> list[str]:
    """When an example leaves each stage but the last; files keep the thresholds, not the words."""
    found = results.conditions(row)
    if found or not row.thresholds:
        return found
    compare = cast(Compare, results.settings["compare"])
    return [condition(confidence(results), threshold, compare) for threshold in row.thresholds]


def _mapping(results: Results, key: str) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], results.settings[key])
