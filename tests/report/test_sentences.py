"""Every sentence about results against the numbers it speaks of, over generated evaluations.

A checker below parses what a function of ``STATED`` says and derives each claim again, from the
recorded arrays or from the numbers of ``Results`` alone. A function without a checker fails, and so
does a sentence that is written outside of them.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cascade_exp
from cascade_exp.cascade.alignment import agreement
from cascade_exp.evaluation.analyses import analyse
from cascade_exp.evaluation.evaluation import Evaluation, evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.comparison import methods_table, runs
from cascade_exp.report.comparison.methods import method_rows
from cascade_exp.report.comparison.pairs import pairs
from cascade_exp.report.pages import executed_view, html, numbers, runs_page, runs_table, view
from cascade_exp.report.results.executed import Executed
from cascade_exp.report.results.schema import OperatingPoint, Results
from cascade_exp.report.sentences import STATED
from tests.evaluating import settings_of

SOURCE = Path(cascade_exp.__file__).parent
NUMBER = r"[<>]?[−+]?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?"


@dataclass(frozen=True)
class Case:
    """A generated pool, its arrays, and its evaluation."""

    evaluation: Evaluation
    labels: dict[str, np.ndarray]
    answers: dict[str, dict[str, np.ndarray]]
    shared: int

    @property
    def results(self) -> Results:
        return self.evaluation.results


# ---------------------------------------------------------------- reading sentences


def text_of(said: object) -> str:
    if isinstance(said, list):
        said = "".join(words.text for words in said)
    return str(said).replace(numbers.SPACE, " ")


def value(text: str) -> float:
    return float(re.sub(r"[<>,+ ]", "", text).replace("−", "-"))


def percents(text: str) -> list[float]:
    return [value(found) / 100 for found in re.findall(rf"({NUMBER}) %", text)]


def is_about(shown: float, true: float, digits: int = 1) -> None:
    """``shown``, a share read from a percentage, is ``true`` as rounded there."""
    assert abs(shown - true) <= 0.5000001 * 10 ** (-2 - digits) + 1e-12, (shown, true)


def is_percent(shown: str, true: float, digits: int = 1) -> None:
    if shown[0] == "<":
        assert 0 < true < value(shown) / 100
    elif shown[0] == ">":
        assert value(shown) / 100 < true < 1
    else:
        is_about(value(shown) / 100, true, digits)


def is_factor(shown: str, true: float) -> None:
    assert value(shown) == pytest.approx(true, rel=0.006, abs=0.0051)


def is_cost(shown: str, true: float) -> None:
    """``shown`` begins with a number and its prefix, as ``1.2 k MACs``."""
    number, prefix = re.match(rf"({NUMBER})\s?(k\b)?", shown).groups()
    scale = 1000 if prefix else 1
    assert value(number) * scale == pytest.approx(true, rel=0.006, abs=0.0051)


def best_of(results: Results, role: str = "selection"):
    return max(results.single_models, key=lambda m: (getattr(m, role).score, -m.selection.cost))


def singles(results: Results, role: str = "report") -> dict[str, float]:
    return {m.name: getattr(m, role).score for m in results.single_models}


def few(results: Results) -> bool:
    """More than 5 % of all examples may differ where none of these does (p >= 0.05)."""
    return (1 - 0.05) ** results.settings["sizes"]["report"] > 0.05


# ---------------------------------------------------------------- checkers of single evaluations


def feasible(results: Results) -> list[OperatingPoint]:
    return [point for point in results.operating_points.values() if point.feasible]


def check_headline(case: Case) -> None:
    results = case.results
    said, best = text_of(view.headline(results)), best_of(results)
    if results.chosen is None:
        assert not feasible(results) and said.startswith("No rule could be met: ")
        return
    point = results.operating_points[results.chosen]
    score, theirs = point.report.score, best.report.score
    assert ("too few to compare" in said) == few(results)
    if alone := re.match(r"No cascade was chosen: (\S+) alone, the best model on (\S+), ", said):
        scores = singles(results, "selection")
        assert point.stages == [alone[1]] and scores[alone[1]] == max(scores.values())
        assert alone[2] == results.settings["splits"]["selection"]
        is_about(percents(said)[0], score)
        is_cost(said.split(" at ")[-1].split(" too few")[0], point.report.cost)
        return
    name = ">".join(point.stages)
    assert said.startswith(f"{name} ") and f" {best.name} (" in said
    assert (" alone " in said) == (len(point.stages) == 1)
    is_about(percents(said.split("(", 1)[1])[0], score)
    verb = said.removeprefix(name).removeprefix(" alone").split(f" {best.name} (")[0].strip()
    check_verb(results, point, verb, score - theirs)
    price = re.search(rf"at ({NUMBER}) % of its cost\.", said)
    if price:
        is_percent(price[1], point.report.cost / best.report.cost, digits=0)
    else:
        assert best.report.cost == 0 and "where that costs nothing" in said
    check_noise(said, point, best.name)


def check_verb(results: Results, point: OperatingPoint, verb: str, change: float) -> None:
    gap = re.search(rf"({NUMBER}) points", verb)
    if gap:
        is_about(value(gap[1]) / 100, abs(change))
    if verb == "keeps the score of":
        assert abs(change) < 0.0005 + 1e-12 and not few(results)
    elif verb == "scores the same as":
        assert abs(change) < 0.0005 + 1e-12
    elif verb == "beats":
        assert change > 0 and not few(results)
        found = point.difference
        assert found.reference != best_of(results).name or found.score_interval[0] > 0
    elif verb.startswith("comes within"):
        assert -0.05 - 1e-12 <= change < 0
    elif verb.endswith("less than"):
        assert change < -0.05 + 1e-12
    else:
        assert verb.endswith("more than") and change > 0, verb


def check_noise(said: str, point: OperatingPoint, best: str) -> None:
    found = re.search(rf"difference \[({NUMBER}), ({NUMBER})\] points(, which includes no)?", said)
    assert (found is not None) == (point.difference.reference == best)
    if found:
        low, high = point.difference.score_interval
        is_about(value(found[1]) / 100, low)
        is_about(value(found[2]) / 100, high)
        assert (found[3] is not None) == (low <= 0 <= high)


def check_saving(case: Case) -> None:
    results, best = case.results, best_of(case.results)
    for point in feasible(results):
        said, cost, full = (
            text_of(view.saving_words(results, point)),
            point.report.cost,
            best.report.cost,
        )
        if point.stages == [best.name]:
            assert (
                said == f"none: it is the best single model on {view.split(results, 'selection')}"
            )
            continue
        assert f"{best.name} alone" in said
        if said.startswith("as much as"):
            assert cost == full
        elif said.startswith("more than"):
            assert full == 0 < cost and "costs nothing" in said
        else:
            share, word, factor = re.match(
                rf"({NUMBER}) % (less|more) than \S+ alone(?: \(({NUMBER})×\))?$", said
            ).groups()
            assert (word == "less") == (cost < full)
            is_percent(share, abs(full - cost) / full)
            assert (factor is None) == (cost == 0)
            if factor:
                is_factor(factor, full / cost)


def check_score_words(case: Case) -> None:
    results, best = case.results, best_of(case.results)
    for point in feasible(results):
        said = text_of(view.score_words(results, point))
        change = point.report.score - best.report.score
        is_about(percents(said)[0], point.report.score)
        low, high = re.search(rf"\[({NUMBER}), ({NUMBER})\]", said).groups()
        is_about(value(low) / 100, point.report.score_interval[0])
        is_about(value(high) / 100, point.report.score_interval[1])
        if point.stages == [best.name]:
            assert said.endswith("]")
        elif "the same as" in said:
            assert change == 0
        elif "within 0.1 points of" in said:
            assert abs(change) < 0.001
        else:
            gap, word = re.search(rf"({NUMBER}) points (above|below) \S+ alone", said).groups()
            is_about(value(gap) / 100, abs(change))
            assert (word == "above") == (change > 0)


def check_difference_words(case: Case) -> None:
    for point in feasible(case.results):
        said, found = text_of(view.difference_words(case.results, point)), point.difference
        assert (said == "") == (point.stages == [found.reference])
        if not said:
            continue
        scores = singles(case.results)
        shown = [
            value(v) for v in re.findall(NUMBER, said.split(" against ")[0].split(" points ")[0])
        ]
        is_about(shown[0] / 100, point.report.score - scores[found.reference])
        low, high = re.search(rf"points \[({NUMBER}), ({NUMBER})\]", said).groups()
        assert value(low) / 100 == pytest.approx(found.score_interval[0], abs=0.00051)
        assert value(high) / 100 == pytest.approx(found.score_interval[1], abs=0.00051)
        cost = said.split("], ", 1)[1]
        costs = {m.name: m.report.cost for m in case.results.single_models}
        is_cost(cost.lstrip("−+"), abs(point.report.cost - costs[found.reference]))
        assert cost.startswith("−") == (point.report.cost < costs[found.reference])


def check_improvement_words(case: Case) -> None:
    for point in feasible(case.results):
        said, found = text_of(view.improvement_words(case.results, point)), point.report
        top = max(singles(case.results).values())
        if said == "no single model scores as high":
            assert found.score > top
        elif said.startswith("not defined"):
            assert found.cost == 0
        else:
            assert found.score <= top + 1e-12
            is_factor(
                re.match(NUMBER, said)[0], cheapest_mix(case.results, found.score) / found.cost
            )


def cheapest_mix(results: Results, score: float) -> float:
    """Least cost of one single model or of a mix of two that reaches ``score`` on report."""
    models = [(m.report.score, m.report.cost) for m in results.single_models]
    costs = [c for s, c in models if s >= score - 1e-12]
    for s0, c0 in models:
        for s1, c1 in models:
            if s0 < score < s1:
                costs.append(c0 + (c1 - c0) * (score - s0) / (s1 - s0))
    return min(costs)


def check_figures_sentence(case: Case) -> None:
    results = case.results
    said, scores = text_of(view.figures_sentence(results)), singles(results)
    least = min(m.report.cost for m in results.single_models)
    cheapest = max(m.report.score for m in results.single_models if m.report.cost == least)
    if "no single model scores above the cheapest one" in said:
        assert max(scores.values()) == cheapest
        is_about(percents(said)[0], cheapest)
    elif "settings of the Pareto front cost nothing" in said:
        assert any(row.report_cost == 0 for row in results.frontier)
    else:
        low, high = percents(said)[:2]
        is_about(low, cheapest)
        is_about(high, max(scores.values()))
        factor = re.match(rf"Average improvement ({NUMBER})×", said)[1]
        is_factor(factor, mean_factor(results, cheapest, max(scores.values())))
    peak = re.search(
        rf"largest improvement on \S+ (?:reaches ({NUMBER})× at|scores) ({NUMBER}) %", said
    )
    if peak:
        check_peak(results, peak, said)
    top = max(results.frontier, key=lambda row: (row.score, -row.cost))
    shown, against = re.search(
        rf"highest [\w -]+ on \S+ scores ({NUMBER}) % on \S+, (.*) the best single model there",
        said,
    ).groups()
    is_about(value(shown) / 100, top.report_score)
    gain = top.report_score - max(scores.values())
    if against == "the same as":
        assert abs(gain) < 0.0005 + 1e-12
    else:
        is_about(value(against.split(" ")[0]) / 100, abs(gain))
        assert ("above" in against) == (gain > 0)


def check_peak(results: Results, peak: re.Match[str], said: str) -> None:
    chosen = results.figures["report"].max_improvement_setting
    row = next(
        row
        for row in results.frontier
        if (row.stages, row.thresholds) == (chosen.stages, chosen.thresholds)
    )
    factors = [row.improvement for row in results.frontier if row.improvement is not None]
    assert row.improvement == max(factors)
    is_about(value(peak[2]) / 100, row.report_score)
    if peak[1]:
        is_factor(peak[1], cheapest_mix(results, row.report_score) / row.report_cost)
    elif "more than any single model" in said:
        assert row.report_score > max(singles(results).values())
    else:
        assert "costs nothing" in said and row.report_cost == 0


def mean_factor(results: Results, low: float, high: float) -> float:
    """The mean over a fine grid of baseline cost over the least cost of a front's setting."""
    grid = np.linspace(low, high, 4001)[1:]
    rows = [(row.report_score, row.report_cost) for row in results.frontier]
    found = [
        cheapest_mix(results, at) / min((c for s, c in rows if s >= at - 1e-12), default=np.inf)
        for at in grid
    ]
    return float(np.mean(found))


def check_split_sentence(case: Case) -> None:
    said, size = text_of(view.split_sentence(case.results)), len(case.labels["selection"])
    splits = case.results.settings["splits"]
    if splits["selection"] == splits["report"]:
        assert "on the same split" in said and f"({size:,} examples)" in said
        return
    assert f"({size:,} examples)" in said and f"({len(case.labels['report']):,} examples)" in said
    shared = re.search(r"(\d[\d,]*) of which are in selection, too", said)
    assert ("which no choice has seen" in said) == (case.shared == 0) == (shared is None)
    if shared:
        assert value(shared[1]) == case.shared


def check_cautions(case: Case) -> None:
    results, said = case.results, [text_of(c) for c in view.cautions(case.results)]
    settings = results.settings
    assert any("only the tier that answered" in c for c in said) == (
        settings["accounting"] == "exit_tier"
    )
    assert any("not exact" in c for c in said) == (not settings["exact"])
    best, top = best_of(results), best_of(results, "report")
    ahead = [c for c in said if "differ by more than chance" in c]
    if ahead:
        assert ahead[0].startswith(f"{top.name} scores ") and best.name in ahead[0]
        assert top.report.score_interval[0] > best.report.score_interval[1]
        is_about(percents(ahead[0])[0], top.report.score)
        is_about(percents(ahead[0])[1], best.report.score)
    elif not few(results):
        assert top.report.score_interval[0] <= best.report.score_interval[1]


def check_selection_only(case: Case) -> None:
    for point in feasible(case.results):
        said = view.selection_only(point)
        there, here = point.selection.improvement, point.report.improvement
        assert (said is not None) == bool(there and here and there > 1 >= here)
        if said:
            shown = re.findall(rf"({NUMBER})×", said)
            is_factor(shown[0], there)
            is_factor(shown[1], here)


def check_idle_words(case: Case) -> None:
    """Each idle stage by its share; what it brings is checked in ``evaluation/test_idle.py``."""
    for point in feasible(case.results):
        said = [text_of(words) for words in view.idle_words(case.results, point)]
        assert len(said) == len(point.idle) + bool(point.dropped)
        for name, words in zip(point.idle, said, strict=False):
            share = point.selection.exit_rates[point.stages.index(name)]
            assert words.startswith(f"{name} answers ") and share < 0.05
            is_percent(re.search(rf"answers ({NUMBER}) %", words)[1], share)


def check_best_mark(case: Case) -> None:
    scores, best = singles(case.results), best_of(case.results)
    said = view.best_mark(case.results)
    assert (said == "best") == (scores[best.name] == max(scores.values()))
    assert said in ("best", f"best on {case.results.settings['splits']['selection']}")


def check_early_words(case: Case) -> None:
    evaluation, results = case.evaluation, case.results
    point = view.chosen(results)
    found = analyse(evaluation.measuring, evaluation.searching, point)
    said = html._early_words(found)
    assert (said == "") == (point is None or len(point.stages) < 2)
    if not said:
        return
    report = evaluation.measuring.splits.report
    stages = evaluation.measuring.table(report, evaluation.measuring.members(report, point.stages))
    labels, last = case.labels[report.name], len(point.stages) - 1
    at = np.full(len(labels), last)
    for i in reversed(range(last)):
        at[stages.stages[i].confidence >= point.thresholds[i]] = i
    answers = np.stack([stage.prediction for stage in stages.stages])
    left = at < last
    wrong = left & (answers[at, np.arange(len(at))] != labels)
    shown = [int(value(v)) for v in re.findall(NUMBER, said)]
    assert shown == [wrong.sum(), left.sum(), (wrong & (answers[last] != labels)).sum()]


def check_findings(case: Case) -> None:
    """The warnings of ``evaluation.findings``, by what each says."""
    for said in case.results.warnings:
        split = said.split(":")[0]
        if "no more than the labels explain" in said:
            check_misaligned(said, case.answers[split], case.labels[split])
        elif "chance" in said:
            check_mistaken(said, case.answers[split], case.labels[split])
        elif "share no class" in said:
            assert not set(case.labels["selection"]) & set(case.labels["report"])
        elif " are in selection, too" in said:
            shown = [int(v) for v in re.findall(r"\d+", said)[:2]]
            assert shown == [case.shared, len(case.labels["report"])]
        else:
            raise AssertionError(f"no check of this warning: {said}")


def check_misaligned(said: str, answers: dict[str, np.ndarray], labels: np.ndarray) -> None:
    found = agreement(list(answers.values()), labels).value
    shown = value(re.search(rf"beyond them (-?{NUMBER})", said)[1].replace("-", "−"))
    pairs = found[np.triu_indices(len(found), 1)]
    assert np.abs(pairs - shown).min() < 0.0051 and shown < 0.3


def check_mistaken(said: str, answers: dict[str, np.ndarray], labels: np.ndarray) -> None:
    name = re.search(r": (\S+) scores", said)[1]
    chance = max(np.bincount(labels)) / len(labels)
    shown = [float(v) / 100 for v in re.findall(r"([\d.]+)%", said)]
    error = np.sqrt(chance * (1 - chance) / len(labels))
    scores = {model: float(np.mean(given == labels)) for model, given in answers.items()}
    is_about(shown[0], scores[name])
    assert chance + 2 * error < max(scores.values()) and scores[name] <= chance + 2 * error
    is_about(shown[1], chance)
    is_about(shown[-1] if "would score" not in said else shown[2], max(scores.values()))
    assert ("below chance" in said) == (scores[name] < chance - 2 * error)


def check_methods(case: Case) -> None:
    results = case.results
    other = replace(results, settings={**results.settings, "exact": not results.settings["exact"]})
    for methods in ({"one": results}, {"one": results, "two": other}):
        said = [text_of(words) for words in methods_table._remarks(results, method_rows(methods))]
        low, high = percents(said[0])[:2]
        is_about(low, results.figures["report"].accuracy_range[0])
        is_about(high, results.figures["report"].accuracy_range[1])
        inexact = [name for name, one in methods.items() if not one.settings["exact"]]
        assert any("Every Pareto front was searched" in words for words in said) == (not inexact)
        listed = [w for w in said if w.startswith("Not searched exhaustively")]
        assert bool(listed) == bool(inexact) and all(name in listed[0] for name in inexact)
        assert any("on the same split" in w for w in said) == view.same_split(results)


def check_runs(case: Case) -> None:
    """The headline and the cautions of a comparison of this evaluation with changed copies."""
    results = case.results
    figures = {
        role: replace(f, average_improvement=(f.average_improvement or 1.0) + 1)
        for role, f in results.figures.items()
    }
    better = replace(results, figures=figures)
    wider = replace(results, settings={**results.settings, "sizes": {"selection": 7, "report": 7}})
    for compared in ({"a": results, "b": better}, {"a": results, "c": wider}, {"a": results}):
        jobs = [
            runs.ComparedRun(n, None, {"metric": n}, "finished", None, 1.0, r)
            for n, r in compared.items()
        ]
        said = runs_page._headline(jobs, ["metric"])
        assert said.startswith(f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}")
        best = max(
            compared.values(),
            key=lambda r: r.figures["selection"].average_improvement or float("-inf"),
        )
        named = re.search(
            rf"best on average on selection is (\w), which reaches ({NUMBER})× on", said
        )
        if named:
            assert compared[named[1]].figures["selection"] == best.figures["selection"]
            is_factor(named[2], compared[named[1]].figures["report"].average_improvement)
        differ = len({str(r.settings["sizes"]) for r in compared.values()}) > 1
        assert any("differ in sizes" in c for c in runs.cautions(jobs)) == differ


def check_executed(case: Case) -> None:
    """The sentence about an execution whose times and counts are drawn from this case."""
    rng = np.random.default_rng(case.shared + len(case.results.frontier))
    seconds, last, all_, ideal = np.exp(rng.normal(-5, 1, size=4)).tolist()
    for differing, aside in ((None, 0), (0, 0), (3, 2)):
        found = Executed(
            rule="fixed",
            stages=["a", "b"],
            examples=1200,
            aside=aside,
            score=0.9,
            cost=1.0,
            exit_rates=[0.5, 0.5],
            predicted_score=0.9,
            predicted_cost=1.0,
            predicted_exit_rates=[0.5, 0.5],
            differing=differing,
            timed=1000,
            batch_size=32,
            repeats=3,
            device="cpu",
            threads=2,
            seconds=seconds,
            seconds_last=last,
            seconds_all=all_,
            seconds_ideal=ideal,
            timings=[],
        )
        said = text_of(executed_view.executed_sentence(found))
        speed = re.search(rf"({NUMBER})× as fast as b alone|at ({NUMBER})× of its speed", said)
        assert speed and bool(speed[1]) == (last >= seconds)
        is_factor(speed[1] or speed[2], last / seconds)
        beside = re.search(rf"({NUMBER} %) (above|below) the ideal", said)
        assert beside and (beside[2] == "above") == (seconds >= ideal)
        is_percent(beside[1].removesuffix(" %"), abs(seconds / ideal - 1))
        assert ("3 of 1,200 examples left elsewhere" in said) == bool(differing)
        assert ("2 could not be read" in said) == bool(aside)


def check_unpaired_words(case: Case) -> None:
    """That its reasons are true is tested where pairs are made (``comparison/test_pairs.py``)."""
    jobs = [
        runs.ComparedRun(n, None, {"metric": n}, "finished", None, 1.0, case.results) for n in "ab"
    ]
    found = pairs(jobs)  # there is no folder, so that neither has what it did to each example
    assert [bool(pair.reason) for pair in found.values()] == [False, True]
    said = runs_table.unpaired_words("b", found["b"].reason)
    assert said.startswith("b: no paired difference: b: no per_example.npz")


CHECKS: dict[str, Callable[[Case], None]] = {
    "evaluation.findings._misaligned": check_findings,
    "evaluation.findings._mistaken": check_findings,
    "evaluation.findings._repeated": check_findings,
    "evaluation.findings._shared": check_findings,
    "evaluation.findings._uncertainties": check_findings,
    "report.comparison.methods_table._remarks": check_methods,
    "report.comparison.runs.cautions": check_runs,
    "report.pages.executed_view.executed_sentence": check_executed,
    "report.pages.html._early_words": check_early_words,
    "report.pages.runs_table.unpaired_words": check_unpaired_words,
    "report.pages.runs_page._headline": check_runs,
    "report.pages.view.best_mark": check_best_mark,
    "report.pages.view.cautions": check_cautions,
    "report.pages.view.difference_words": check_difference_words,
    "report.pages.view.figures_sentence": check_figures_sentence,
    "report.pages.view.headline": check_headline,
    "report.pages.view.idle_words": check_idle_words,
    "report.pages.view.improvement_words": check_improvement_words,
    "report.pages.view.saving_words": check_saving,
    "report.pages.view.score_words": check_score_words,
    "report.pages.view.selection_only": check_selection_only,
    "report.pages.view.split_sentence": check_split_sentence,
}


# ---------------------------------------------------------------- generated pools


@st.composite
def pools(draw) -> dict:
    """Models as (name, cost, right in percent), and how their splits and settings are."""
    count = draw(st.integers(1, 4))
    costs = draw(
        st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.5, 1e3]), min_size=count, max_size=count)
    )
    assume(max(costs) > 0)
    return {
        "costs": costs,
        "skill": draw(st.lists(st.integers(20, 100), min_size=count, max_size=count)),
        "drift": draw(st.sampled_from([0, 0, 0, 30])),
        "sizes": draw(st.tuples(*[st.sampled_from([1, 5, 8, 40, 61, 200])] * 2)),
        "classes": draw(st.integers(2, 4)),
        "levels": draw(st.sampled_from([1, 2, 50])),
        "copy": draw(st.sampled_from(["no", "no", "no", "ids", "all", "same"])),
        "overrides": draw(
            st.sampled_from(
                [
                    (),
                    ("objective=f1",),
                    ("cost.accounting=exit_tier",),
                    ("threshold.reference=m0",),
                    ("threshold.drop_idle=true", "search.max_stages=3"),
                    ("search.max_stages=3",),
                    ("threshold.rules=[target_cost,match_accuracy]", "threshold.target_cost=1.5"),
                    ("threshold.rules=[match_accuracy]", "threshold.tolerance=0.2"),
                ]
            )
        ),
        "seed": draw(st.integers(0, 2**16)),
    }


def write_pool(folder: Path, pool: dict) -> tuple[dict, dict, int]:
    """Write the recordings; labels and answers by split, and how many examples both splits have."""
    rng = np.random.default_rng(pool["seed"])
    classes = 2 if "objective=f1" in pool["overrides"] else pool["classes"]
    labels, answers = {}, {}
    for role, size in zip(("selection", "report"), pool["sizes"], strict=True):
        (folder / role).mkdir(parents=True)
        labels[role], answers[role] = rng.integers(0, classes, size), {}
        difficulty = rng.random(size)
        for m, skill in enumerate(pool["skill"]):
            skill = skill if role == "selection" or m else max(skill - pool["drift"], 0)
            right = difficulty < skill / 100
            given = np.where(right, labels[role], (labels[role] + 1) % classes)
            logits = np.full((size, classes), -1, np.float32)  # else they are probabilities
            logits[np.arange(size), given] = 1 + rng.integers(0, pool["levels"], size) * (1 + right)
            np.save(folder / role / f"m{m}.npy", logits)
            answers[role][f"m{m}"] = given
        np.save(folder / role / "labels.npy", labels[role])
    rows = "".join(f"m{m},{cost!r}\n" for m, cost in enumerate(pool["costs"]))
    (folder / "models.csv").write_text(f"name,macs\n{rows}")
    return labels, answers, share_examples(folder, pool["copy"], labels, answers)


def share_examples(folder: Path, how: str, labels: dict, answers: dict) -> int:
    sizes = {role: len(of) for role, of in labels.items()}
    if how == "ids":
        np.save(folder / "selection" / "ids.npy", np.arange(100, 100 + sizes["selection"]))
        np.save(folder / "report" / "ids.npy", np.arange(103, 103 + sizes["report"]))
        return max(min(sizes["selection"], 3 + sizes["report"]) - 3, 0)
    if how == "all":  # report is a copy of selection, and no ids say so
        for file in (folder / "selection").glob("*.npy"):
            np.save(folder / "report" / file.name, np.load(file))
        labels["report"], answers["report"] = labels["selection"], answers["selection"]
        return sizes["selection"]
    return sizes["report"] if how == "same" else 0


def evaluated(pool: dict, folder: Path) -> Case:
    labels, answers, shared = write_pool(folder, pool)
    overrides = ["cost.column=macs", "bootstrap.resamples=50", *pool["overrides"]]
    if pool["copy"] == "same":
        overrides += ["splits.report=selection", "threshold.same_split=true"]
    if pool["copy"] == "no" and pool["sizes"][0] == pool["sizes"][1]:
        # tiny splits may be equal by chance
        same = all(
            np.array_equal(answers["selection"][m], answers["report"][m]) for m in answers["report"]
        )
        assume(not same)
    found = evaluate_recordings(open_recordings(folder), settings_of(*overrides), {})
    return Case(found, labels, answers, shared)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(pools())
def test_every_sentence_is_true_of_its_numbers(pool):
    with TemporaryDirectory() as folder:
        case = evaluated(pool, Path(folder))
        for check in dict.fromkeys(CHECKS.values()):
            check(case)


# ---------------------------------------------------------------- none is forgotten


def modules() -> list[str]:
    packages = ["report", "evaluation"]
    return [
        module.name
        for package in packages
        for module in pkgutil.walk_packages([str(SOURCE / package)], f"cascade_exp.{package}.")
    ]


def test_every_function_that_states_something_is_checked():
    for module in modules():
        importlib.import_module(module)
    assert sorted(STATED) == sorted(CHECKS)


NO_FINDING = {
    "report/results/speed_ups.py": "what the columns of the table are",
    "evaluation/kinds/tiers.py": "what was left out of the search, tested with the tiers",
}
"""Files whose sentences state nothing about results, and why."""


def test_no_sentence_is_written_elsewhere():
    """Whole sentences outside of functions that are entered, and of those that only these call."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        part = path.relative_to(SOURCE).as_posix()
        if part.split("/")[0] not in ("report", "evaluation") or part.startswith("report/figures"):
            continue
        if part not in NO_FINDING:
            found += [f"{part}: {text}" for text in unchecked_sentences(path.read_text())]
    assert found == []


def unchecked_sentences(source: str) -> list[str]:
    """Sentences of a module's functions that neither are entered nor are helpers of one that is."""
    tree = ast.parse(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    calls = {
        name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in functions}
        for name, node in functions.items()
    }
    checked = {
        name
        for name, node in functions.items()
        if any(isinstance(d, ast.Name) and d.id == "stated" for d in node.decorator_list)
    }
    while more := {called for name in checked for called in calls[name]} - checked:
        checked |= more
    return [
        text for name, node in functions.items() if name not in checked for text in sentences(node)
    ]


def sentences(function: ast.FunctionDef) -> list[str]:
    """Strings of at least five words that end like a sentence; docstrings and errors apart."""
    skipped = {
        id(inner)
        for node in ast.walk(function)
        if isinstance(node, ast.Raise | ast.Expr)
        and (isinstance(node, ast.Raise) or isinstance(node.value, ast.Constant))
        for inner in ast.walk(node)
    }
    skipped |= {id(part) for d in function.decorator_list for part in ast.walk(d)}
    skipped |= {
        id(part) for n in ast.walk(function) if isinstance(n, ast.JoinedStr) for part in n.values
    }
    texts = []
    for node in ast.walk(function):
        if id(node) in skipped or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(
            p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else "x"
            for p in parts
        )
        if text.rstrip().endswith(".") and len(text.split()) >= 5:
            texts.append(text)
    return texts


def test_a_new_sentence_is_noticed():
    new = (
        'def words(results):\n    """Not this one, it is a docstring."""\n'
        '    return f"All {results} models are best of all."\n'
    )
    assert unchecked_sentences(new) == ["All x models are best of all."]
    assert unchecked_sentences("@stated\n" + new) == []
    assert unchecked_sentences("@stated\ndef top(r):\n    return words(r)\n\n" + new) == []
