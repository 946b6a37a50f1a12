import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from cascade_exp.report.comparison.methods import cells, method_rows, write_methods
from cascade_exp.report.comparison.methods_table import BEST, print_methods
from cascade_exp.report.figures import style
from cascade_exp.report.figures.methods import methods_figure
from cascade_exp.report.figures.registry import write_figures
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import numbers
from cascade_exp.report.tracking.board import log_methods
from cascade_exp.report.tracking.loggers import open_loggers
from cascade_exp.schema.evaluating import WandbLogger
from tests.report.figures.test_evaluation import drawn_texts
from tests.report.pages.test_results_table import LONG

FOLDER = Path("/somewhere/outputs/2026-01-01/12-00-00/results")
MADE_OF = {
    "max_softmax": ("max_softmax", "none", "none"),
    "entropy": ("entropy", "none", "none"),
    "comparison_max_softmax": ("max_softmax", "comparison", "temperature"),
    "comparison_entropy": ("entropy", "comparison", "temperature"),
    "comparison_logits_margin": ("logits_margin", "comparison", "temperature"),
    "mean_logits": ("max_softmax", "mean_logits", "none"),
    "mean_softmax_temperature": ("entropy", "mean_softmax", "temperature"),
}


def settled(results, **settings):
    return dataclasses.replace(results, settings={**results.settings, **settings})


def methods_of(make_results, made_of=MADE_OF, **pool):
    """Results by method: simulated with its metric, and said to be of its ensemble."""
    return {
        name: settled(
            make_results(metric=metric, max_stages=3 if "mean" in ensemble else 2, **pool),
            ensemble=ensemble,
            calibration=calibration,
        )
        for name, (metric, ensemble, calibration) in made_of.items()
    }


@pytest.fixture
def methods(make_results):
    return methods_of(make_results, size=150)


def printed(methods, width=80, **console):
    out = io.StringIO()
    print_methods(methods, FOLDER, Console(file=out, width=width, **console))
    return out.getvalue()


def parts(text, methods):
    """Of each part of the table: its title, and its cells by method (names hold no blanks)."""
    blocks = []
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        rows = {line.split()[0]: line for line in lines[1:] if line.split()[0] in methods}
        if rows:
            blocks.append((lines[0], rows))
    return blocks


# ---------------------------------------------------------------------------------------- rows


def mean_factor(results, role, low, high):
    """The mean improvement between two scores, on a fine grid: slow and obvious."""
    points = [
        (row.score, row.cost) if role == "selection" else (row.report_score, row.report_cost)
        for row in results.frontier
    ]
    scores, costs = zip(*results.baseline[role], strict=True)
    grid = np.linspace(low, high, 4001)
    least = [min((c for s, c in points if s >= a), default=math.inf) for a in grid]
    return float(np.mean(np.interp(grid, scores, costs) / least))


def test_a_row_holds_the_figures_of_its_results_on_each_split(methods):
    rows = method_rows(methods)
    assert [row.method for row in rows] == list(methods)
    for row, (name, results) in zip(rows, methods.items(), strict=True):
        assert (row.metric, row.ensemble, row.calibration) == MADE_OF[name]
        assert row.point == results.operating_points["match_accuracy"]
        for role, on in (("selection", row.selection), ("report", row.report)):
            figures = results.figures[role]
            assert (on.accuracy_low, on.accuracy_high) == figures.accuracy_range
            for key in ("average_improvement", "max_improvement", "max_improvement_score"):
                assert getattr(on, key) == getattr(figures, key)
            assert (on.top_score, on.top_gain) == (figures.top_score, figures.top_gain)
            assert on.upper_from == pytest.approx(np.mean(figures.accuracy_range))
            expected = mean_factor(results, role, on.upper_from, on.accuracy_high)
            assert on.upper_improvement == pytest.approx(expected, rel=5e-3)


def test_one_model_has_no_range_to_average_over(make_results):
    methods = {"only": make_results(models=(("only", 4.0, 1e6),), size=50)}
    (row,) = method_rows(methods)
    assert row.report.upper_improvement is None and row.report.average_improvement is None
    assert "only" in printed(methods) and "None" not in printed(methods)


def test_the_csv_holds_every_number_to_the_last_bit(methods, tmp_path):
    write_methods(methods, tmp_path)
    with (tmp_path / "methods.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [line["method"] for line in read] == list(methods)
    for line, row in zip(read, method_rows(methods), strict=True):
        expected, point = cells(row), row.point
        assert list(line) == list(expected)
        for key, value in expected.items():
            if isinstance(value, float):
                assert float(line[key]) == value, key
        assert line["exact"] == "true" and line["match_accuracy_feasible"] == "true"
        assert line["match_accuracy_stages"] == ">".join(point.stages)
        assert tuple(map(float, line["match_accuracy_thresholds"].split(";"))) == tuple(
            point.thresholds
        )
        assert float(line["match_accuracy_report_score_low"]) == point.report.score_interval[0]
        assert float(line["match_accuracy_selection_cost"]) == point.selection.cost
    # Whatever the splits, a number's column says which of them it is from.
    stated = ("selection_", "report_", "match_accuracy_selection_", "match_accuracy_report_")
    free = {"method", "metric", "ensemble", "calibration", "exact"} | {
        f"match_accuracy_{key}" for key in ("feasible", "stages", "thresholds", "worst_case_cost")
    }
    assert all(key in free or key.startswith(stated) for key in read[0])


# --------------------------------------------------------------------------------------- table


@pytest.mark.parametrize("width", [80, 120])
def test_every_method_is_printed_in_order_within_the_width(methods, width):
    text = printed(methods, width)
    printed_parts = parts(text, methods)
    assert [list(rows) for _, rows in printed_parts] == [list(methods)] * (4 if width == 80 else 3)
    for line in text.splitlines():
        assert cell_len(line.rstrip()) <= width or FOLDER.as_posix() in line, line
    report, selection, point, *_ = printed_parts
    for row in method_rows(methods):
        for (_, rows), on in ((report, row.report), (selection, row.selection)):
            line = rows[row.method].replace(BEST, "")
            assert numbers.factor(on.average_improvement) in line
            assert numbers.factor(on.upper_improvement) in line
            assert numbers.factor(on.max_improvement) in line
            assert numbers.score(on.top_score).replace(numbers.SPACE, " ") in line
            assert line.split()[-1] == numbers.gain(on.top_gain)
        found = row.point.report
        line = point[1][row.method].replace(BEST, "")
        expected = numbers.score_with_interval(found.score, found.score_interval)
        assert expected.replace(numbers.SPACE, " ") in line
        assert numbers.short_cost(found.cost, "macs") in line
        assert " > ".join(row.point.stages) in printed_parts[-1][1][row.method]


def test_titles_say_which_split_a_number_is_from(methods):
    (report, _), (selection, _), (point, _), (stages, _) = parts(printed(methods), methods)
    assert report == "7 methods on report: improvement factor of the settings found on selection"
    assert selection == "The same on selection, where they were found: optimistic"
    assert point == "match_accuracy, chosen on selection and measured on report"
    assert stages == "The cascades that match_accuracy chose"


def test_what_methods_are_made_of_is_printed_where_there_is_room(methods):
    assert "calibration" not in printed(methods, 80)
    (_, rows), _, _ = parts(printed(methods, 140), methods)
    for name, line in rows.items():
        assert tuple(line.split()[1:4]) == MADE_OF[name]


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_models_are_never_cut(make_results, width):
    methods = methods_of(make_results, size=60, models=LONG)
    text = " ".join(printed(methods, width).split())
    for row in method_rows(methods):
        assert f"{row.method} {' > '.join(row.point.stages)}" in text


def test_the_best_of_a_column_and_all_that_read_like_it_are_marked(methods):
    (_, rows), (_, on_selection), *_ = parts(printed(methods), methods)
    shown, ranked = ([line.split()[1:4] for line in r.values()] for r in (rows, on_selection))
    for column in range(3):
        factors = [float(line[column].strip(f"{BEST}×")) for line in ranked]
        starred = [line[column].startswith(BEST) for line in shown]
        assert starred == [line[column].startswith(BEST) for line in ranked]
        best = [factor == max(factors) for factor in factors]
        assert starred == (best if not all(best) else [False] * len(best))


def test_the_least_cost_is_the_best_one(methods):
    *_, (_, rows) = parts(printed(methods, 120), methods)
    points = {row.method: row.point for row in method_rows(methods)}
    by_selection = sorted(points, key=lambda method: points[method].selection.cost)
    least, most = by_selection[0], by_selection[-1]
    assert f"{BEST}{numbers.short_cost(points[least].report.cost, 'macs')}" in rows[least]
    assert f"{BEST}{numbers.short_cost(points[most].report.cost, 'macs')}" not in rows[most]


def test_nothing_is_marked_where_all_are_equal(results):
    methods = {"a": results, "b": results}
    printed_parts = parts(printed(methods), methods)
    assert len(printed_parts) >= 3
    assert not any(BEST in line for _, rows in printed_parts for line in rows.values())


def test_a_rule_that_cannot_be_met_says_why(methods):
    name = "entropy"
    rules = methods[name].operating_points
    points = {"target_cost": rules["target_cost"]}
    changed = {name: dataclasses.replace(methods[name], operating_points=points)}
    text = printed(changed)
    assert not rules["target_cost"].feasible
    assert f"entropy: target_cost cannot be met: {rules['target_cost'].reason}" in " ".join(
        text.split()
    )
    assert cells(method_rows(changed)[0])["target_cost_report_score"] is None


def test_without_rules_the_fronts_are_compared_all_the_same(methods, tmp_path):
    bare = {n: dataclasses.replace(r, operating_points={}) for n, r in methods.items()}
    assert len(parts(printed(bare), methods)) == 2
    write_methods(bare, tmp_path)
    assert "match_accuracy" not in (tmp_path / "methods.csv").read_text()


def test_what_was_not_searched_to_the_end_is_named(methods):
    assert "Every Pareto front was searched exhaustively (exact)." in printed(methods)
    methods["entropy"] = settled(methods["entropy"], exact=False)
    assert "cheaper settings may exist: entropy." in " ".join(printed(methods).split())


def test_one_split_for_both_is_reported_once_and_with_a_warning(make_results):
    methods = {"only": make_results(same_split=True)}
    text = " ".join(printed(methods).split())
    assert "these numbers are optimistic" in text
    assert "found on selection" not in text and len(parts(printed(methods, 120), methods)) == 2


def test_an_encoding_without_the_signs_does_not_end_the_job(methods):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    print_methods(methods, FOLDER, Console(file=file, width=80))
    file.flush()
    assert b"x  " in raw.getvalue() and b"?" not in raw.getvalue()


# -------------------------------------------------------------------------------------- figure


def drawn(axes):
    """By label, factors and scores of the panel's curves; the line at 1x is left out."""
    return {
        line.get_label().split()[0]: line
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def of(methods):
    return methods_figure(next(iter(methods.values())), methods, style.ALONE)


def test_three_panels_and_max_softmax_in_black_in_each(methods):
    with style.house_style():
        figure = of(methods)
    panels = {axes.get_title(loc="left"): drawn(axes) for axes in figure.axes}
    assert {title: set(lines) for title, lines in panels.items()} == {
        "No ensemble": {"max_softmax", "entropy"},
        "Comparison ensemble": {
            *("max_softmax", "comparison_max_softmax"),
            *("comparison_entropy", "comparison_logits_margin"),
        },
        "Mean ensemble": {"max_softmax", "mean_logits", "mean_softmax_temperature"},
    }
    for lines in panels.values():
        assert lines["max_softmax"].get_color() == style.INK
        colors = [line.get_color() for line in lines.values()]
        assert len(set(colors)) == len(colors)
    first, second, _ = panels.values()
    assert first["entropy"].get_color() == second["comparison_entropy"].get_color()


def test_curves_are_the_report_splits_against_its_own_single_models(methods):
    with style.house_style():
        figure = of(methods)
    for axes in figure.axes:
        for name, line in drawn(axes).items():
            results = methods[name]
            points = [(row.report_score, row.report_cost) for row in results.frontier]
            scores, costs = zip(*results.baseline["report"], strict=True)
            expected = [
                (np.interp(s, scores, costs) / min(c for other, c in points if other >= s), s)
                for s in sorted({s for s, _ in points})
                if s <= scores[-1] + 1e-12
            ]
            assert line.get_xydata() == pytest.approx(np.array(expected), rel=1e-9)
            factor = numbers.factor(results.figures["report"].average_improvement)
            assert line.get_label().endswith(f"  {factor}")


POOLS = {
    "usual": {},
    "one model": {"models": (("only", 4.0, 1e6),)},
    "equal scores": {"models": (("a", 30.0, 5e6), ("b", 40.0, 6e6))},
    "seconds": {"models": (("a", 3.4, 2e-3), ("b", 4.0, 3.0)), "unit": "seconds"},
}


@pytest.mark.parametrize("names", [list(MADE_OF), ["mean_logits"]], ids=["all", "one"])
@pytest.mark.parametrize("pool", POOLS)
def test_no_word_is_cut_and_no_legend_lies_on_data(make_results, monkeypatch, pool, names):
    made_of = {name: MADE_OF[name] for name in names}
    with style.house_style():
        figure = of(methods_of(make_results, made_of, size=40, **POOLS[pool]))
        texts = drawn_texts(figure, monkeypatch)
    assert len(texts) > 8
    for text, box in texts:
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert not any(legend.overlaps(other.get_window_extent()) for other in figure.axes)


def test_many_methods_in_one_panel_are_distinguishable(results):
    many = {f"m{i:02}": settled(results, metric=f"metric_{i}") for i in range(18)}
    with style.house_style():
        (axes,) = of(many).axes
    looks = {(line.get_color(), str(line._dash_pattern)) for line in drawn(axes).values()}
    assert len(looks) == 18


def test_the_picture_is_written_where_the_other_plots_are(methods, tmp_path):
    written = write_figures(Findings(next(iter(methods.values())), methods=methods), tmp_path)
    path = tmp_path / "plots" / "methods.png"
    assert path in written
    assert matplotlib.image.imread(path).shape[1] > 1000


# ----------------------------------------------------------------------------------------- W&B


def test_wandb_gets_a_section_with_the_table(methods, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    settings = {"wandb": WandbLogger()}
    with open_loggers(
        settings,
        folder=tmp_path,
        config={},
        job_type="evaluate",
        group=None,
        run_id="methods",
        resumed=False,
    ) as loggers:
        log_methods(loggers.wandb, methods)
    (media,) = tmp_path.glob("wandb/offline-run-*/files/media")
    (table,) = media.glob("table/methods/comparison_*.table.json")
    logged = json.loads(table.read_text())
    records = [cells(row) for row in method_rows(methods)]
    assert logged["columns"] == list(records[0])
    assert logged["data"] == [list(record.values()) for record in records]
