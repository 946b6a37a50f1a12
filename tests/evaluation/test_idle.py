"""Stages that answer almost nobody: marked, dropped where asked, kept where they bring anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.evaluation.idle import ALMOST_NOBODY, drop_idle, idle_places, without
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.pages import view
from tests.evaluating import settings_of, write_answers

COSTS = {"small": 1.0, "middle": 4.0, "large": 10.0}
SIZE = 1000


def write(folder: Path, middle_answers: int, middle_right: float) -> None:
    """Three stages: small answers 60 % rightly, middle ``middle_answers`` examples, large the rest.

    Of those that middle answers it has ``middle_right`` right, and large 90 %, as everywhere.
    """
    labels = np.zeros(SIZE, int)
    right = {name: np.ones(SIZE, int) for name in COSTS}
    sure = {name: np.zeros(SIZE) for name in COSTS}
    sure["small"][:600] = 1
    sure["middle"][600 : 600 + middle_answers] = 1
    right["small"][600:] = 0
    right["middle"][:600] = 0
    asked = slice(600, 600 + middle_answers)
    right["middle"][asked] = np.arange(middle_answers) < middle_right * middle_answers
    right["middle"][600 + middle_answers :] = 0
    right["large"] = (np.arange(SIZE) % 10 > 0).astype(int)
    for split in ("selection", "report"):
        answers = {name: (1 - right[name], sure[name]) for name in COSTS}
        write_answers(folder, COSTS, split, labels, answers)


def evaluated(folder: Path, *overrides: str):
    settings = settings_of(
        "cost.column=macs", "metric=recorded", "bootstrap.resamples=400", "cascade=stages",
        "cascade.stages=[small,middle,large]", *overrides,
    )  # fmt: skip
    return evaluate_recordings(open_recordings(folder), settings, {})


FIXED = ("threshold.rules=[fixed]", "threshold.fixed=[1.0,1.0]")


@pytest.mark.parametrize(
    ("answers", "right", "idle"),
    [
        (0, 1.0, [1]),  # nobody: the others pay for it
        (2, 1.0, [1]),  # two examples, which large has right as well
        (40, 1.0, []),  # it is 100 % right where large is 90 %: a gain that stands out
        (300, 0.9, []),  # it saves, and answers many
        (300, 0.0, []),  # what answers many is never idle, however bad it is
    ],
)
def test_what_is_idle(tmp_path, answers, right, idle):
    write(tmp_path, answers, right)
    found = evaluated(tmp_path, *FIXED)
    point = FrontPoint((0, 1, 2), (1.0, 1.0), 0.0, 0.0, 15.0)
    assert idle_places(found.measuring, point) == idle
    names = [list(COSTS)[place] for place in idle]
    assert found.results.operating_points["fixed"].idle == names


def literal(folder: Path, members: tuple[int, ...], thresholds: tuple[float, ...]):
    """Right-or-wrong and cost of every example of selection, by the exit rule written out."""
    names, right, cost = [list(COSTS)[m] for m in members], [], []
    read = {n: np.load(folder / "selection" / f"{n}.answers.npz") for n in names}
    for row in range(SIZE):
        paid = 0.0
        for at, name in enumerate(names):
            paid += COSTS[name]
            if at == len(names) - 1 or read[name]["confidence"][row] >= thresholds[at]:
                right.append(read[name]["prediction"][row] == 0)
                break
        cost.append(paid)
    return np.array(right, float), np.array(cost)


@pytest.mark.parametrize("seed", range(6))
def test_idle_is_what_the_literal_bootstrap_says(tmp_path, seed):
    rng = np.random.default_rng(seed)
    write(tmp_path, int(rng.integers(0, 60)), float(rng.choice([0.0, 0.5, 0.9, 1.0])))
    found = evaluated(tmp_path, *FIXED)
    point = FrontPoint((0, 1, 2), (1.0, 1.0), 0.0, 0.0, 15.0)
    whole = literal(tmp_path, point.members, point.thresholds)
    rates = found.results.operating_points["fixed"].selection.exit_rates
    drawn = rng.integers(0, SIZE, (500, SIZE))
    for place in range(3):
        shorter = literal(tmp_path, *without(point, place))
        gain = (whole[0] - shorter[0])[drawn].mean(axis=1)
        cost = (whole[1] - shorter[1])[drawn].mean(axis=1)
        low, high = np.quantile(gain, 0.025), np.quantile(cost, 0.975)
        if min(abs(low), abs(high)) < 1e-3 and low > -1e-3:
            continue  # another draw of resamples may decide otherwise
        expected = rates[place] < ALMOST_NOBODY and low <= 0 and high >= 0
        assert (place in idle_places(found.measuring, point)) == expected


def test_it_is_marked_in_words_and_dropped_where_asked(tmp_path):
    write(tmp_path, 2, 1.0)
    rules = ("threshold.rules=[target_accuracy]", "threshold.target_accuracy=0.96")
    found = evaluated(tmp_path, *rules)
    point = found.results.operating_points["target_accuracy"]
    kept = evaluated(tmp_path, *rules, "threshold.drop_idle=true")
    dropped = kept.results.operating_points["target_accuracy"]
    assert dropped.idle == []
    chosen = FrontPoint(
        kept.measuring.members(kept.measuring.splits.selection, point.stages),
        tuple(point.thresholds), point.selection.cost, point.selection.score, 0.0,
    )  # fmt: skip
    shorter, names = drop_idle(kept.measuring, chosen)
    assert dropped.dropped == names and dropped.thresholds == list(shorter.thresholds)
    assert bool(point.idle) == bool(names)
    for stages in (point, dropped):
        said = " ".join(view.cautions(kept.results if stages is dropped else found.results))
        assert all(name in said for name in (*stages.idle, *stages.dropped))


def test_a_given_setting_is_marked_and_left_as_it_is(tmp_path):
    write(tmp_path, 0, 1.0)
    point = evaluated(tmp_path, *FIXED, "threshold.drop_idle=true").results.operating_points[
        "fixed"
    ]
    assert point.idle == ["middle"] and point.dropped == []
    assert point.stages == list(COSTS)


def test_dropping_goes_on_until_none_is_idle(tmp_path):
    write(tmp_path, 0, 1.0)
    found = evaluated(tmp_path, *FIXED)
    never = FrontPoint((0, 1, 2), (np.inf, np.inf), 15.0, 0.9, 15.0)
    shorter, names = drop_idle(found.measuring, never)
    assert names == ["middle", "small"] and shorter.members == (2,) and shorter.thresholds == ()
    assert shorter.cost == COSTS["large"]
