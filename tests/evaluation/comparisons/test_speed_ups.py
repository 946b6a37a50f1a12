"""Methods at equal speed-up, against every threshold applied literally."""

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from cascade_exp.cascade.speed_up import Neighbours, expected_gain
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.comparisons.speed_ups import compare_speed_ups
from cascade_exp.jobs.entry import one_line
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.schema.evaluating import SpeedUpMember
from tests.evaluating import settings_of
from tests.recordings.making import add_exits, make_recordings
from tests.running import run

MODELS = {"one": 1.0, "two": 2.0, "three": 3.0, "six": 6.0}
EXITS = {e: {"macs": float(e), "layers": float(e)} for e in range(1, 7)}
MEMBERS = {
    "static": {"models": ["one", "two", "three"]},
    "deebert": {"network": "net", "metric": "entropy"},
    "pabee": {"network": "net", "metric": "patience"},
    "pair": {"stages": ["two", "six"]},
    "triple": {"stages": ["one", "two", "six"]},
    "longer": {"stages": ["two", "three", "six"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    make_recordings(folder, MODELS, size=80)
    rows = "".join(f"{name},{cost!r},{int(cost)}\n" for name, cost in MODELS.items())
    (folder / "models.csv").write_text(f"name,macs,layers\n{rows}")
    add_exits(folder, "net", EXITS)
    text = (folder / "models.csv").read_text()
    (folder / "models.csv").write_text(text.replace("net,6.0", "net,6.0,6"))
    return folder


def with_members(own, members, **keys):
    typed = {name: SpeedUpMember(**member) for name, member in members.items()}
    return replace(own, speed_ups=replace(own.speed_ups, members=typed, **keys))


def settings(members=None, **keys):
    own = settings_of("cost=layers")
    return with_members(own, members or MEMBERS, **keys)


@pytest.fixture(scope="module")
def found(folder):
    return compare_speed_ups(open_recordings(folder), settings())


def stages_of(folder, split, method):
    """Per stage of a method: cost, answers [N], confidence [N]; by hand."""
    if "stages" in method:
        outputs = [np.load(folder / split / f"{name}.npy") for name in method["stages"]]
        costs = [MODELS[name] for name in method["stages"]]
    else:
        logits = np.load(folder / split / "net.npy")
        outputs, costs = [logits[:, e] for e in range(6)], [1.0] * 6
    answers = [output.argmax(axis=1) for output in outputs]
    sure = []
    for i, output in enumerate(outputs):
        p = np.exp(output.astype(np.float64) - output.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        if method.get("metric") == "patience":
            same = np.stack([answers[i] == answers[j] for j in range(i, -1, -1)])
            sure.append(np.cumprod(same, axis=0).sum(axis=0).astype(float))
        elif method.get("metric") == "entropy":
            sure.append((p * np.log(p)).sum(axis=1))
        else:
            sure.append(p.max(axis=1))
    return costs, answers, sure


def literal(folder, split, method, threshold):
    """Mean cost, accuracy, and the stage where each example leaves."""
    labels = np.load(folder / split / "labels.npy")
    costs, answers, sure = stages_of(folder, split, method)
    paid, right, left = 0.0, 0, []
    for n, label in enumerate(labels):
        for i, cost in enumerate(costs):
            paid += cost
            if i == len(costs) - 1 or sure[i][n] >= threshold - 1e-12:
                right += answers[i][n] == label
                left.append(i)
                break
    return paid / len(labels), right / len(labels), np.array(left)


@pytest.mark.parametrize("name", ["deebert", "pabee", "pair", "triple"])
@pytest.mark.parametrize("target", [2.0, 3.0, 4.0])
def test_no_threshold_comes_closer(folder, found, name, target):
    (row,) = [row for row in found.rows if (row.method, row.target) == (name, target)]
    sure = np.concatenate(stages_of(folder, "selection", MEMBERS[name])[2][:-1])
    tried = [literal(folder, "selection", MEMBERS[name], t) for t in [*np.unique(sure), np.inf]]
    away = min(abs(6.0 / cost - target) for cost, *_ in tried)
    assert abs(row.selection_speed_up - target) == pytest.approx(away)
    best = max(s for cost, s, _ in tried if abs(6.0 / cost - target) <= away + 1e-9)
    assert row.selection_score == pytest.approx(best)
    for split, speed_up, score in (
        ("selection", row.selection_speed_up, row.selection_score),
        ("report", row.report_speed_up, row.report_score),
    ):
        cost, accuracy, _ = literal(folder, split, MEMBERS[name], row.threshold)
        assert speed_up == pytest.approx(6.0 / cost)
        assert score == pytest.approx(accuracy)
    low, high = row.report_interval
    assert low <= row.report_score <= high


def test_static_models_and_the_full_one(found):
    rows = {(row.method, row.target): row for row in found.rows}
    assert [rows["static", t].stages for t in (2.0, 3.0, 4.0)] == [["three"], ["two"], ["two"]]
    full = rows["full", 1.0]
    assert (found.full, full.stages, full.report_speed_up) == ("six", ["six"], 1.0)
    assert full.threshold is None


def test_curves_are_settings_on_the_report_split(folder, found):
    curves = {curve.method: curve for curve in found.curves}
    assert curves["static"].speed_up == [2.0, 3.0, 6.0] and curves["static"].static
    for name in ("pair", "pabee", "deebert"):
        sure = np.concatenate(stages_of(folder, "selection", MEMBERS[name])[2][:-1])
        points = {
            tuple(np.round((6.0 / cost, score), 9))
            for cost, score, _ in (
                literal(folder, "report", MEMBERS[name], t)
                for t in [-np.inf, *np.unique(sure), np.inf]
            )
        }
        curve = curves[name]
        drawn = set(zip(np.round(curve.speed_up, 9), np.round(curve.score, 9), strict=True))
        assert drawn == points
        assert curve.speed_up == sorted(curve.speed_up)


def test_what_a_network_emits_at_each_exit(folder, found):
    labels = np.load(folder / "report" / "labels.npy")
    (row,) = [row for row in found.rows if (row.method, row.target) == ("deebert", 3.0)]
    *_, left = literal(folder, "report", MEMBERS["deebert"], row.threshold)
    expected = {}
    for exit in range(6):
        here = left == exit
        if not here.any():
            continue
        answers = np.load(folder / "report" / "net.npy")[:, exit].argmax(axis=1)
        expected[f"net@{exit + 1}"] = (int(here.sum()), (answers == labels)[here].mean())
        for name, layers in MODELS.items():
            if layers == exit + 1:
                answers = np.load(folder / "report" / f"{name}.npy").argmax(axis=1)
                expected[name] = (int(here.sum()), (answers == labels)[here].mean())
    reported = {
        row.model: (row.examples, pytest.approx(row.accuracy))
        for row in found.emitted
        if (row.method, row.target) == ("deebert", 3.0)
    }
    assert reported == expected
    assert not [row for row in found.emitted if row.method == "pair"]


def test_inversions_of_every_exit_and_model(folder, found):
    rows = {row.model: row for row in found.inversions}
    assert [rows[name].layers for name in MODELS] == [1, 2, 3, 6]
    groups = {row.model: row.group for row in found.inversions}
    assert {groups[name] for name in ("one", "two", "three")} == {"static"}
    assert (groups["six"], groups["net@2"]) == ("complete models", "net")
    assert {row.group for row in found.emitted if "@" not in row.model} == {
        "static",
        "complete models",
    }
    labels = np.load(folder / "report" / "labels.npy")
    logits = np.load(folder / "report" / "net.npy")[:, 1].astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (p / p.sum(axis=1, keepdims=True)).max(axis=1)
    right = logits.argmax(axis=1) == labels
    pairs = [(easy, hard) for easy in sure[right] for hard in sure[~right]]
    inverted = sum(hard > easy for easy, hard in pairs)
    assert rows["net@2"].dis == pytest.approx(1 - inverted / len(pairs))


def test_a_model_added_inside_a_cascade(folder, found):
    kinds = {(row.method, row.without, row.added) for row in found.added}
    assert kinds == {("longer", "pair", "three")}  # triple has its new model in front
    rows = {(row.method, row.target): row for row in found.rows}
    labels = np.load(folder / "report" / "labels.npy")
    accuracy = [
        (np.load(folder / "report" / f"{name}.npy").argmax(axis=1) == labels).mean()
        for name in ("two", "three", "six")
    ]
    for row in found.added:
        longer = rows["longer", row.target]
        *_, left = literal(folder, "report", MEMBERS["longer"], longer.threshold)
        exits = np.bincount(left, minlength=3)
        model = Neighbours(*accuracy, int(exits[1]), int(exits[2]), 3.0, 6.0)
        assert row.expected == pytest.approx(expected_gain(model, len(labels)))
        gained = longer.report_score - rows["pair", row.target].report_score
        assert row.measured == pytest.approx(gained)


def test_a_job_writes_tables_and_pictures(folder, tmp_path):
    members = "{static:{models:[one,two]},net:{network:net,metric:patience},"
    members += "pair:{stages:[two,six]},longer:{stages:[two,three,six]}}"
    run(
        "evaluate",
        tmp_path / "job",
        f"recordings={folder}",
        "cost=layers",
        "logger=none",
        "analyses=false",
        f"+speed_ups.members={members}",
    )
    results = tmp_path / "job" / "results"
    with (results / "speed_ups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [
        "full",
        *["static"] * 3,
        *["net"] * 3,
        *["pair"] * 3,
        *["longer"] * 3,
    ]
    assert {row["threshold"] for row in rows if row["method"] in ("full", "static")} == {""}
    for name in ("speed_up_curves", "emitted", "inversions", "added_models"):
        assert (results / "analyses" / f"{name}.csv").stat().st_size > 0
    for name in ("speed_ups", "emitted", "inversions"):
        assert (results / "plots" / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("members.a=net", "speed_ups.members.a=net: expected settings"),
        ("members.a=null", "speed_ups.members.a=None: expected settings"),
        ("members.a={}", "speed_ups.members.a: expected one of stages .*, found none"),
        ("members.a={network:net,stages:[one,six]}", "found stages and network"),
        ("members.a={networks:net}", r"speed_ups.members.a.networks: .*mean 'network'"),
        ("members.a={stages:one}", "speed_ups.members.a.stages: .*list"),
        ("members.a={models:[]}", r"speed_ups.members.a.models=\[\]: expected a list of models"),
        ("members.full={stages:[one,six]}", "members.full: the model of speed_ups.full has"),
        ("members.a={stages:[six]}", r"speed_ups.members.a.stages=\['six'\]: expected two"),
        ("at=[]", r"speed_ups.at=\[\]: expected a list of numbers from 1 on"),
        ("at=[0.5]", r"speed_ups.at=\[0.5\]: expected"),
        ("at=[nan]", r"speed_ups.at=\[nan\]: expected"),
    ],
)
def test_members_are_checked_as_they_are_read(override, said):
    with pytest.raises((CascadeError, HydraException, OmegaConfBaseException)) as raised:
        settings_of(f"++speed_ups.{override}")
    line = one_line(raised.value)
    assert re.search(said, line), line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("members", "keys", "said"),
    [
        (
            {"a": {"stages": ["one", "sox"]}},
            {},
            r"speed_ups.members.a: cascade.stages: .*mean 'six'",
        ),
        ({"a": {"network": "one"}}, {}, "members.a: cascade.network=one: a complete model"),
        ({"a": {"stages": ["one", "six"], "metric": "patience"}}, {}, "members.a: metric=patience"),
        (MEMBERS, {"full": "sixx"}, r"speed_ups.full=sixx: no recorded complete model .*'six'"),
        (MEMBERS, {"also": ["selection"]}, "speed_ups.also: settings are chosen on 'selection'"),
        (MEMBERS, {"also": ["mnli"]}, "no such split in these recordings; found report, selection"),
    ],
)
def test_members_that_the_recordings_do_not_have(folder, members, keys, said):
    with pytest.raises(CascadeError, match=said) as raised:
        compare_speed_ups(open_recordings(folder), settings(members, **keys))
    assert "\n" not in str(raised.value)


def test_dollars_give_the_speed_ups_of_seconds(folder, tmp_path, found):
    priced = tmp_path / "recordings"
    shutil.copytree(folder, priced)
    for table in ("models.csv", "exits.csv"):
        text = (priced / table).read_text()
        head, *rows = text.splitlines()
        column = head.split(",").index("macs")
        seconds = [f"{row},{row.split(',')[column]}" for row in rows]
        (priced / table).write_text("\n".join([f"{head},seconds", *seconds, ""]))
    complete = {name: member for name, member in MEMBERS.items() if "network" not in member}
    own = settings_of("cost=dollars", "cost.gpu=A100")
    own = with_members(own, complete)
    rows = {(row.method, row.target): row for row in found.rows}
    for row in compare_speed_ups(open_recordings(priced), own).rows:
        other = rows[row.method, row.target]
        assert row.report_speed_up == pytest.approx(other.report_speed_up)
        assert row.report_score == other.report_score


def test_links_have_no_speed_up(folder):
    own = settings_of("cost=edge_cloud", "cascade=stages", "cascade.stages=[one,six]")
    own = with_members(own, MEMBERS)
    with pytest.raises(CascadeError, match="cost=edge_cloud with speed_ups"):
        compare_speed_ups(open_recordings(folder), own)


def test_one_more_model_gains_accuracy_whatever_the_objective(folder):
    own = settings()
    by_f1 = replace(own, objective=settings_of("objective=f1", "objective.average=macro").objective)
    compared = compare_speed_ups(open_recordings(folder), by_f1)
    at = {(row.method, row.target): row for row in compared.rows}
    for row in compared.added:
        longer, shorter = (
            literal(folder, "report", MEMBERS[name], at[name, row.target].threshold)[1]
            for name in (row.method, row.without)
        )
        assert row.measured == pytest.approx(longer - shorter)
