import dataclasses
import json
import math
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.errors import CascadeError
from cascade_exp.report.results.files import read_results, summary, write_json, write_results
from cascade_exp.report.results.schema import (
    Difference,
    FrontFigures,
    FrontRow,
    Measured,
    OperatingPoint,
    ReliabilityRow,
    Results,
    Setting,
    SingleModel,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
threshold = st.floats(allow_nan=False)
maybe = st.none() | finite
interval = st.tuples(finite, finite)
# Any name that docs/definitions.md#recordings allows; no lone surrogates.
name = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/\\>;+@,"),
    min_size=1,
)
word = st.text(string.ascii_lowercase, min_size=1)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | name,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(word, inner, max_size=2),
    max_leaves=4,
)
measured = st.builds(
    Measured,
    cost=finite,
    score=finite,
    exit_rates=st.lists(finite, min_size=1, max_size=3),
    improvement=maybe,
    score_interval=st.none() | interval,
    cost_interval=st.none() | interval,
)


@st.composite
def front_rows(draw):
    n = draw(st.integers(1, 4))
    return FrontRow(
        stages=draw(st.lists(name, min_size=n, max_size=n)),
        thresholds=draw(st.lists(threshold, min_size=n - 1, max_size=n - 1)),
        exit_rates=draw(st.lists(finite, min_size=n, max_size=n)),
        cost=draw(finite),
        worst_case_cost=draw(finite),
        score=draw(finite),
        improvement=draw(maybe),
        report_cost=draw(finite),
        report_score=draw(finite),
    )


operating_point = st.builds(
    OperatingPoint,
    rule=word,
    feasible=st.booleans(),
    reason=st.none() | name,
    stages=st.lists(name, max_size=3),
    thresholds=st.lists(threshold, max_size=2),
    worst_case_cost=maybe,
    selection=st.none() | measured,
    report=st.none() | measured,
    difference=st.none()
    | st.builds(
        Difference,
        reference=name,
        score=finite,
        score_interval=interval,
        cost=finite,
        cost_interval=interval,
    ),
)
setting = st.builds(
    Setting, stages=st.lists(name, max_size=3), thresholds=st.lists(threshold, max_size=2)
)
figures = st.builds(
    FrontFigures,
    average_improvement=maybe,
    accuracy_range=interval,
    max_improvement=maybe,
    max_improvement_score=maybe,
    top_score=finite,
    top_gain=finite,
    max_improvement_setting=st.none() | setting,
    top_setting=st.none() | setting,
)
any_settings = st.fixed_dictionaries(
    {
        **dict.fromkeys(("metric", "ensemble", "calibration", "objective"), word),
        **dict.fromkeys(("accounting", "baseline", "compare"), word),
        "cost": st.fixed_dictionaries(dict.fromkeys(("name", "column", "unit"), word)),
        "splits": st.fixed_dictionaries({"selection": name, "report": name}),
        "sizes": st.fixed_dictionaries({"selection": st.integers(0), "report": st.integers(0)}),
        "exact": st.booleans(),
    },
    optional={"metric_k": json_value, "cascades": st.integers(0), "search_note": name},
)
any_results = st.builds(
    Results,
    settings=any_settings,
    single_models=st.lists(
        st.builds(SingleModel, name=name, selection=measured, report=measured), max_size=3
    ),
    frontier=st.lists(front_rows(), max_size=4),
    operating_points=st.dictionaries(word, operating_point, max_size=3),
    chosen=st.none() | word,
    figures=st.fixed_dictionaries({"selection": figures, "report": figures}),
    baseline=st.dictionaries(word, st.lists(interval, max_size=3), max_size=2),
    reliability=st.lists(
        st.builds(
            ReliabilityRow, model=name, split=word, score=finite, dis=maybe, ece=maybe, auroc=maybe
        ),
        max_size=3,
    ),
    temperatures=st.dictionaries(name, finite, max_size=2),
    learned=st.just({}),
    sweep_curve=st.none(),
    environment=st.dictionaries(word, json_value, max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(any_results)
def test_what_is_written_is_read_back_to_the_last_bit(found):
    with tempfile.TemporaryDirectory() as folder:
        write_results(found, Path(folder))
        again = read_results(Path(folder))
        assert again == found
        assert repr(again) == repr(found)  # distinguishes 0.0 from -0.0
        assert sorted(p.name for p in Path(folder).iterdir()) == [
            "frontier.csv",
            "reliability.csv",
            "summary.json",
        ]


def test_a_simulated_evaluation_comes_back_without_its_curve(results, tmp_path):
    write_results(results, tmp_path / "made" / "results")
    again = read_results(tmp_path / "made" / "results")
    assert again == dataclasses.replace(results, sweep_curve=None)


def test_summary_is_strict_json_with_the_contracts_keys(results, tmp_path):
    point = dataclasses.replace(
        results.operating_points["match_accuracy"], thresholds=[math.inf, -math.inf, 0.1]
    )
    found = dataclasses.replace(results, operating_points={"fixed": point}, chosen="fixed")
    write_results(found, tmp_path)

    def refuse(literal):
        raise AssertionError(f"{literal} is not JSON")

    read = json.loads((tmp_path / "summary.json").read_text(), parse_constant=refuse)
    assert read["operating_points"]["fixed"]["thresholds"] == ["inf", "-inf", 0.1]
    assert read["metric"] == "max_softmax" and read["cost"]["unit"] == "macs"
    assert read["schema_version"] == 1 and read["chosen"] == "fixed"
    best = read["single_models"][-1]
    assert set(best) == {"name", "selection", "report"}
    assert best["report"]["score_interval"][0] <= best["report"]["score"]
    for key in ("average_improvement", "max_improvement", "top_score"):
        assert set(read[key]) == {"selection", "report"}
    assert read["average_improvement"]["report"]["accuracy_range"] == [
        results.figures["report"].accuracy_range[0],
        results.figures["report"].accuracy_range[1],
    ]


def test_frontier_csv_is_what_the_design_says(results, tmp_path):
    write_results(results, tmp_path)
    lines = (tmp_path / "frontier.csv").read_text().splitlines()
    assert lines[0] == (
        "stages,thresholds,exit_rates,cost,worst_case_cost,score,improvement,"
        "report_cost,report_score"
    )
    assert len(lines) == 1 + len(results.frontier)
    single = next(row for row in results.frontier if len(row.stages) == 1)
    assert f"{single.stages[0]},,1.0,{single.cost!r},{single.cost!r},{single.score!r}" in "\n".join(
        lines
    )
    pair = next(row for row in results.frontier if len(row.stages) == 2)
    assert f"{'>'.join(pair.stages)},{pair.thresholds[0]!r}," in "\n".join(lines)


def test_no_numpy_repr_reaches_a_file(results, tmp_path):
    row = results.frontier[-1]
    row = dataclasses.replace(row, cost=np.float64(row.cost), score=np.float64(row.score))
    write_results(dataclasses.replace(results, frontier=[row]), tmp_path)
    assert "np." not in (tmp_path / "frontier.csv").read_text()


def test_an_undefined_improvement_is_an_empty_cell(results, tmp_path):
    row = dataclasses.replace(results.frontier[0], improvement=None, thresholds=[], stages=["a"])
    row = dataclasses.replace(row, exit_rates=[1.0])
    write_results(dataclasses.replace(results, frontier=[row]), tmp_path)
    cells = (tmp_path / "frontier.csv").read_text().splitlines()[1].split(",")
    assert cells[6] == ""


@pytest.mark.parametrize("broken", ["score", "improvement"])
def test_a_nan_is_refused_and_the_old_files_stay(results, tmp_path, broken):
    write_results(results, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    row = dataclasses.replace(results.frontier[0], **{broken: math.nan})
    with pytest.raises(ValueError, match="NaN"):
        write_results(dataclasses.replace(results, frontier=[row]), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_old_files_and_no_litter(results, tmp_path, monkeypatch):
    write_results(results, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    calls = []

    def fail_on_the_last_file(handle):
        calls.append(handle)
        if len(calls) == 3:
            raise OSError("No space left on device")

    monkeypatch.setattr("cascade_exp.atomic.os.fsync", fail_on_the_last_file)
    with pytest.raises(OSError, match="No space"):
        write_results(dataclasses.replace(results, chosen=None), tmp_path)
    assert len(calls) == 3
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_setting_may_not_shadow_a_key_of_the_summary(results):
    settings = {**results.settings, "chosen": "x"}
    with pytest.raises(ValueError, match="chosen"):
        summary(dataclasses.replace(results, settings=settings))


def test_write_json_names_the_place_of_what_it_cannot_write(tmp_path):
    with pytest.raises(ValueError, match=r"\$\.thresholds\[1\] is NaN"):
        write_json(tmp_path / "x.json", {"thresholds": [0.5, math.nan]})
    with pytest.raises(TypeError, match=r"\$\.a is a set"):
        write_json(tmp_path / "x.json", {"a": {1}})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "x.json", {"t": (math.inf, np.float64(0.25)), "p": Path("a/b")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"t": ["inf", 0.25], "p": "a/b"}


def edit_summary(folder, **changes):
    path = folder / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_cell(path, row, column, text):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[row][column] = text
    path.write_text("\n".join(map(",".join, lines)) + "\n")


def cut(name):
    def damage(folder):
        path = folder / name
        path.write_text(path.read_text()[: path.stat().st_size // 2])

    return damage


DAMAGES = {
    "no summary": (lambda d: (d / "summary.json").unlink(), "summary.json: no such file"),
    "no frontier": (lambda d: (d / "frontier.csv").unlink(), "frontier.csv: no such file"),
    "cut summary": (cut("summary.json"), "summary.json: cannot be read as JSON"),
    "cut frontier": (cut("frontier.csv"), r"frontier.csv: line \d+"),
    "newer": (lambda d: edit_summary(d, schema_version=99), "schema_version is 99, expected 1"),
    "a list": (lambda d: (d / "summary.json").write_text("[]"), "expected a JSON object"),
    "no models": (
        lambda d: edit_summary(d, single_models=[{"name": "a"}]),
        r"summary.json: single_models.0.selection: Field required, found nothing",
    ),
    "a word for a number": (
        lambda d: edit_summary(d, temperatures={"a": "hot"}),
        r"summary.json: temperatures.a: .*valid number.*found 'hot'",
    ),
    "no unit": (lambda d: edit_summary(d, cost={}), r"summary.json: cost.name: Field required"),
    "a split's figures": (
        lambda d: edit_summary(d, max_improvement={}),
        "not all given for selection",
    ),
    "a word in a table": (
        lambda d: replace_cell(d / "reliability.csv", 1, 2, "high"),
        r"reliability.csv: line 2: score='high': .*valid number",
    ),
    "too few thresholds": (
        lambda d: replace_cell(d / "frontier.csv", 1, 1, "0.5;0.5;0.5"),
        r"frontier.csv: line 2: .*stages with 3 thresholds",
    ),
    "other csv": (
        lambda d: (d / "reliability.csv").write_text("a,b\n1,2\n"),
        "reliability.csv: no column 'model' in its first line",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_results_are_refused_in_one_line(results, tmp_path, damage):
    write_results(results, tmp_path)
    hurt, expected = DAMAGES[damage]
    hurt(tmp_path)
    with pytest.raises(CascadeError, match=expected) as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)
