import dataclasses
import math
import subprocess
import sys

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text

from cascade_exp.report.figures import evaluation as plots
from cascade_exp.report.figures import style
from cascade_exp.report.figures.registry import all_figures, write_figures
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import view

# What a pool may look like when it is not a textbook's: every picture must still be drawn.
POOLS = {
    "usual": {},
    "one model": {"models": (("only", 4.0, 1e6),), "size": 50},
    "one example": {"models": (("a", 3.0, 1e6), ("b", 4.5, 2e6)), "size": 1},
    "equal costs": {"models": (("a", 3.4, 5.0), ("b", 4.0, 5.0)), "unit": "layers"},
    "no improvement": {"models": (("a", 1.0, 5e6), ("b", 4.0, 6e6))},
    "never wrong": {"models": (("a", 30.0, 5e6), ("b", 40.0, 6e6)), "size": 60},
    "entropy": {"metric": "entropy", "unit": "seconds", "models": (("a", 3.4, 2e-3), ("b", 4, 3))},
    "three stages": {"size": 120, "max_stages": 3},
    "thirty": {
        "models": tuple(
            (f"vit_small_patch16_224.augreg_in1k_{i}", 2.6 + 0.07 * i, 1e8 * 1.17**i)
            for i in range(30)
        ),
        "size": 60,
    },
    "names like code": {"models": (("$a_b^{", 3.2, 1e6), ("<b>&\\", 4.2, 4e6))},
}
QUICK = ("usual", "one model", "names like code")
FIGURES = {entry.name: entry for entry in all_figures() if entry.of is None}
SIZES = {"alone": style.ALONE, "narrow": style.NARROW}


def drawn_texts(figure, monkeypatch):
    """What is really drawn: a tick outside the axes has a label that is not."""
    drawn = [text for axes in figure.axes for text in axes.texts]
    plain = RendererAgg.draw_text

    def record(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        if mtext is not None:
            drawn.append(mtext)
        return plain(self, gc, x, y, s, prop, angle, ismath, mtext)

    monkeypatch.setattr(RendererAgg, "draw_text", record)
    figure.canvas.draw()
    return [(text.get_text(), Text.get_window_extent(text)) for text in drawn]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "pool",
    [pool if pool in QUICK else pytest.param(pool, marks=pytest.mark.slow) for pool in POOLS],
)
def test_no_word_is_cut_and_no_legend_lies_on_data(make_results, monkeypatch, pool, name, size):
    results = make_results(**POOLS[pool])
    with style.house_style():
        figure = FIGURES[name].draw(Findings(results), SIZES[size])
        if figure is None:
            assert name == "thresholds" and len(view.chosen(results).stages) == 1
            return
        texts = drawn_texts(figure, monkeypatch)
        assert len(texts) > 8
        for text, box in texts:
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
            assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
        for legend in figure.legends:
            for axes in figure.axes:
                assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def offsets(axes, gid):
    return np.vstack([c.get_offsets() for c in axes.collections if c.get_gid() == gid])


def test_front_dots_are_the_report_splits_and_diamonds_the_chosen(results):
    with style.house_style():
        axes = plots.frontier_figure(results, style.WIDE).axes[0]
    assert offsets(axes, plots.FRONT_POINTS).tolist() == [
        [row.report_cost, row.report_score] for row in results.frontier
    ]
    feasible = [p for p in results.operating_points.values() if p.feasible]
    assert offsets(axes, plots.CHOSEN_POINTS).tolist() == [
        [p.report.cost, p.report.score] for p in feasible
    ]
    front = next(line for line in axes.lines if line.get_color() == style.FAINT)
    assert front.get_xydata().tolist() == [[row.cost, row.score] for row in results.frontier]
    assert {text.get_text() for text in axes.texts} >= {m.name for m in results.single_models}


def test_improvement_uses_each_splits_own_baseline(results):
    with style.house_style():
        axes = plots.improvement_figure(results, style.WIDE).axes[0]
    reported = zip(results.frontier, view.report_improvements(results), strict=True)
    expected = [[row.report_score, factor] for row, factor in reported if factor is not None]
    assert offsets(axes, plots.FRONT_POINTS).tolist() == expected
    line = next(line for line in axes.lines if line.get_color() == style.FAINT)
    assert line.get_xydata().tolist() == [[r.score, r.improvement] for r in results.frontier]


def test_thresholds_mark_the_chosen_one_at_its_reported_score_and_cost(results):
    point = view.chosen(results)
    with style.house_style():
        upper, lower = plots.thresholds_figure(results, style.WIDE).axes
    assert offsets(upper, plots.CHOSEN_POINTS)[0].tolist() == pytest.approx(
        [point.thresholds[0], point.report.score]
    )
    assert offsets(lower, plots.CHOSEN_POINTS)[0][1] == point.report.cost
    # The curve itself passes there.
    curve = results.sweep_curve
    at = curve.thresholds.index(point.thresholds[0])
    assert curve.score["report"][at] == pytest.approx(point.report.score)
    assert curve.cost["report"][at] == pytest.approx(point.report.cost)


@pytest.mark.parametrize("bound", [math.inf, -math.inf])
def test_thresholds_of_votes_may_be_infinite(results, bound, monkeypatch):
    point = view.chosen(results)
    thresholds = [bound, *point.thresholds[1:]]
    points = {point.rule: dataclasses.replace(point, thresholds=thresholds)}
    vote = {"name": "vote", "label": "share of votes"}
    voted = dataclasses.replace(
        results, settings={**results.settings, "confidence": vote}, operating_points=points
    )
    with style.house_style():
        figure = plots.thresholds_figure(voted, style.WIDE)
    tick = "none" if bound > 0 else "all"
    assert tick in [text for text, _ in drawn_texts(figure, monkeypatch)]


def test_reliability_says_what_is_undefined(make_results):
    results = make_results(**POOLS["never wrong"])
    assert all(row.auroc is None for row in results.reliability)
    with style.house_style():
        figure = plots.reliability_figure(results, style.WIDE)
        words = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert set(words[0]) == set(words[1]) == {"undefined"}
    ece = [f"{row.ece:.3f}" for row in results.reliability]
    assert sorted(words[2]) == sorted(ece)


def test_a_long_front_is_thinned_and_keeps_its_ends(results):
    rows = [dataclasses.replace(results.frontier[i % 20], cost=1e6 * (1 + i)) for i in range(3000)]
    drawn = plots.drawn_rows(dataclasses.replace(results, frontier=rows))
    assert len(drawn) == plots.DRAWN_POINTS
    assert drawn[0] is rows[0] and drawn[-1] is rows[-1]


def test_plots_are_written_and_a_stale_one_is_removed(results, make_results, tmp_path):
    written = write_figures(Findings(results), tmp_path)
    names = ["frontier.png", "improvement.png", "thresholds.png", "reliability.png"]
    assert [path.name for path in written] == names
    assert all(path.parent == tmp_path / "plots" for path in written)
    for path in written:
        height, width, _ = mpl.image.imread(path).shape
        assert width == 960 and height >= 280
    again = write_figures(Findings(make_results(**POOLS["one model"])), tmp_path)
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == sorted(p.name for p in again)
    assert "thresholds.png" not in [path.name for path in again]


def test_the_callers_matplotlib_settings_stay(results):
    with mpl.rc_context({"font.size": 3.0, "axes.grid": False}):
        before = dict(mpl.rcParams)
        with style.house_style():
            plots.frontier_figure(results, style.WIDE)
        assert dict(mpl.rcParams) == before


def test_report_modules_import_nothing_heavy():
    code = (
        "import sys\n"
        "from cascade_exp.report.results import files, schema\n"
        "from cascade_exp.report.figures import evaluation, svg\n"
        "from cascade_exp.report.pages import html, numbers, results_table, view\n"
        "heavy = {'matplotlib', 'jinja2', 'torch', 'lightning', 'pytorch_lightning', 'wandb',"
        " 'torchmetrics', 'transformers', 'timm', 'pandas', 'sklearn', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
