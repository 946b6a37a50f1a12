import csv
import math
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.report.figures import style
from cascade_exp.report.figures.registry import all_figures, write_figures, written_figures
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import view
from cascade_exp.report.pages.html import html_text
from cascade_exp.report.results.analyses import TABLES, write_analyses
from cascade_exp.report.results.published import published_points
from tests.evaluating import evaluated, write_answers
from tests.recordings.making import make_recordings
from tests.report.figures.test_evaluation import drawn_texts
from tests.report.pages.test_html import Page

ROOT = Path(__file__).parents[3]
THREE = {"resnet20": 1.0, "resnet32": 4.0, "resnet56": 9.0}
TWO_STAGES = ("cascade=stages", "threshold.rules=[fixed]", "threshold.fixed=[0.7]")
SIZES = {"alone": style.ALONE, "narrow": style.NARROW}


def simulated(costs=THREE, size=200, classes=3):
    return lambda folder: make_recordings(folder, costs, size=size, classes=classes)


def boxes(prediction, confidence):
    def make(folder):
        answers = dict.fromkeys(("a", "b"), (prediction, confidence))
        for split in ("selection", "report"):
            write_answers(folder, {"a": 1.0, "b": 5.0}, split, [0, 1, 2, 3], answers)

    return make


# Pools by name: how they are recorded, and what is asked of them.
POOLS = {
    "usual": (simulated(), (*TWO_STAGES, "cascade.stages=[resnet20,resnet56]")),
    "three stages": (
        simulated(),
        (
            *TWO_STAGES[:2],
            "threshold.fixed=[0.7,0.6]",
            "cascade.stages=[resnet20,resnet32,resnet56]",
            "ensemble=mean_softmax",
        ),
    ),
    "one model": (simulated({"only": 3.0}), ()),
    "one example": (simulated(size=1), (*TWO_STAGES, "cascade.stages=[resnet20,resnet56]")),
    "never wrong": (
        boxes([0, 1, 2, 3], [0.5, 0.5, 2.0, -1.0]),
        (*TWO_STAGES, "cascade.stages=[a,b]", "metric=recorded"),
    ),
    "never right": (
        boxes([4, 4, 4, 4], [0.1, 0.8, 0.8, 0.9]),
        (*TWO_STAGES, "cascade.stages=[a,b]", "metric=recorded"),
    ),
    "f1 by entropy": (
        simulated(classes=2),
        (*TWO_STAGES, "cascade.stages=[resnet20,resnet56]", "objective=f1", "metric=entropy"),
    ),
    "many models and classes": (
        simulated(
            {f"vit_small_patch16_224.augreg_in1k_{i}": 1e8 * 1.6**i for i in range(15)}, 120, 40
        ),
        ("published=imagenet",),
    ),
    "names like code": (
        simulated({"$a_b^{": 1.0, "b&<i": 5.0}, 60),
        (*TWO_STAGES, "cascade.stages=['$a_b^{','b&<i']"),
    ),
}
FIGURES = {entry.name: entry for entry in all_figures() if entry.of == "analyses"}
QUICK = ("usual", "one model", "never wrong")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results and analyses of a pool by name."""
    cache = {}

    def of(name):
        if name not in cache:
            make, overrides = POOLS[name]
            folder = tmp_path_factory.mktemp("pool")
            make(folder)
            evaluation, analyses = evaluated(folder, *overrides)
            cache[name] = (evaluation.results, analyses)
        return cache[name]

    return of


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def column(rows, name):
    return [float(row[name]) if row[name] else math.nan for row in rows]


def of_model(rows, model):
    return [row for row in rows if row["model"] == model]


def test_tables_hold_what_was_found_to_the_last_bit(found, tmp_path):
    _, analyses = found("usual")
    written = write_analyses(analyses, tmp_path)
    assert [path.stem for path in written] == list(TABLES)
    table = {path.stem: read(path) for path in written}
    for model in analyses.models:
        rows = of_model(table["reliability_curve"], model.model)
        np.testing.assert_array_equal(column(rows, "confidence"), model.reliability.confidence)
        np.testing.assert_array_equal(column(rows, "accuracy"), model.reliability.accuracy)
        rows = of_model(table["threshold_curve"], model.model)
        np.testing.assert_array_equal(column(rows, "threshold"), model.threshold.threshold)
        np.testing.assert_array_equal(column(rows, "below"), model.threshold.below)
        np.testing.assert_array_equal(
            column(rows, "accuracy_below"), model.threshold.accuracy_below
        )
        np.testing.assert_array_equal(
            column(rows, "accuracy_above"), model.threshold.accuracy_above
        )
        assert rows[0]["accuracy_below"] == rows[-1]["accuracy_above"] == ""
        assert rows[-1]["threshold"] == "inf"
        rows = of_model(table["risk_coverage"], model.model)
        np.testing.assert_array_equal(column(rows, "coverage"), model.risk_coverage.coverage)
        np.testing.assert_array_equal(column(rows, "risk"), model.risk_coverage.risk)
        assert set(column(rows, "aurc")) == {model.risk_coverage.area}
        rows = of_model(table["most_confident"], model.model)
        np.testing.assert_array_equal(column(rows, "share"), model.most_confident.share)
        np.testing.assert_array_equal(column(rows, "accuracy"), model.most_confident.accuracy)
        np.testing.assert_array_equal(column(rows, "bound"), model.most_confident.bound)
    cascade = analyses.cascade
    for name in ("cascade", "random", "ideal"):
        rows = [row for row in table["deferral"] if row["curve"] == name]
        np.testing.assert_array_equal(column(rows, "cost"), getattr(cascade.deferral, name).cost)
        np.testing.assert_array_equal(column(rows, "score"), getattr(cascade.deferral, name).score)
        threshold = cascade.deferral.threshold if name != "ideal" else [math.nan] * len(rows)
        np.testing.assert_array_equal(column(rows, "threshold"), threshold)
    points = {row["curve"]: (float(row["cost"]), float(row["score"])) for row in table["deferral"]}
    assert points["chosen"] == cascade.deferral.chosen
    assert points["leave_iff_right"] == cascade.deferral.leave_iff_right
    (pair,) = table["agreement"]
    expected = cascade.agreements[0].agreement
    assert [pair["first"], pair["second"]] == ["resnet20", "resnet56"]
    for name in ("both_right", "only_first", "only_second", "both_wrong", "same_wrong"):
        assert int(pair[name]) == getattr(expected, name)
    for name in ("left", "wrong", "wrong_at_last_too"):
        counts = [int(row[name]) for row in table["wrong_exits"]]
        assert counts == getattr(cascade.wrong_exits, name).tolist()
    assert [row["stage"] for row in table["wrong_exits"]] == cascade.stages
    exits = {(int(r["class"]), r["stage"]): float(r["exit_rate"]) for r in table["exits_by_class"]}
    assert exits == {
        (one.label, stage): rate
        for one in cascade.exits_by_class
        for stage, rate in zip(cascade.stages, one.exit_rates, strict=True)
    }
    rows = table["reoptimised_frontier"]
    oracle = analyses.reoptimised.rows
    assert [row["stages"] for row in rows] == [">".join(row.stages) for row in oracle]
    assert [float(row["thresholds"]) for row in rows] == [row.thresholds[0] for row in oracle]
    for name in ("cost", "worst_case_cost", "score"):
        assert column(rows, name) == [getattr(row, name) for row in oracle]
    assert [row["improvement"] for row in rows] == [
        "" if row.improvement is None else repr(row.improvement) for row in oracle
    ]


def test_what_does_not_apply_is_neither_written_nor_left_from_before(found, tmp_path):
    def there(kind):
        return sorted(path.stem for path in (tmp_path / kind).iterdir())

    write_analyses(found("usual")[1], tmp_path)
    of_results = {"frontier", "improvement", "reliability"}
    pictures = write_figures(Findings(*found("usual")), tmp_path)
    assert there("plots") == sorted({*FIGURES, *of_results, "thresholds"} - {"published"})
    assert [path.stem for path in pictures] == written_figures(tmp_path)
    for path in pictures:
        assert mpl_width(path) == 960
    write_analyses(found("one model")[1], tmp_path)
    write_figures(Findings(*found("one model")), tmp_path)
    of_models = ["most_confident", "reliability_curve", "risk_coverage", "threshold_curve"]
    assert there("analyses") == sorted([*of_models, "reoptimised_frontier"])
    assert there("plots") == sorted([*of_models, *of_results, "transfer"])
    assert write_analyses(None, tmp_path) == []
    write_figures(Findings(found("usual")[0]), tmp_path)
    assert there("analyses") == []
    assert there("plots") == sorted({*of_results, "thresholds"})


def mpl_width(path):
    return matplotlib.image.imread(path).shape[1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "pool",
    [pool if pool in QUICK else pytest.param(pool, marks=pytest.mark.slow) for pool in POOLS],
)
@pytest.mark.parametrize("name", FIGURES)
def test_no_word_is_cut_and_no_legend_lies_on_data(found, monkeypatch, name, pool, size):
    results, analyses = found(pool)
    with style.house_style():
        figure = FIGURES[name].draw(Findings(results, analyses), SIZES[size])
        if figure is None:
            assert name == "published" or analyses.cascade is None
            return
        texts = drawn_texts(figure, monkeypatch)
    assert len(texts) > 5
    for text, box in texts:
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
    for legend in figure.legends:
        for axes in figure.axes:
            assert not legend.get_window_extent().overlaps(axes.get_tightbbox())


def drawn(found, name, pool="usual"):
    results, analyses = found(pool)
    with style.house_style():
        return FIGURES[name].draw(Findings(results, analyses), style.ALONE), results, analyses


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def dots(axes):
    return {c.get_label(): c.get_offsets() for c in axes.collections}


def test_transfer_draws_both_fronts_and_both_baselines(found):
    figure, results, analyses = drawn(found, "transfer")
    left, right = figure.axes
    curves, frozen = lines(left), dots(left)["the Pareto front's settings on report"]
    assert frozen.tolist() == [[row.report_cost, row.report_score] for row in results.frontier]
    oracle = [[row.cost, row.score] for row in analyses.reoptimised.rows]
    assert curves["oracle: Pareto front re-optimised on report"].tolist() == oracle
    for role in ("selection", "report"):
        line = curves[f"single models mixed, on {role}"]
        ends = [[cost, score] for score, cost in results.baseline[role]]
        np.testing.assert_allclose(line[[0, -1]], [ends[0], ends[-1]])
    factors = [
        [factor, row.report_score]
        for factor, row in zip(view.report_improvements(results), results.frontier, strict=True)
        if factor is not None
    ]
    (frozen,) = right.collections
    assert frozen.get_offsets().tolist() == factors


def test_deferral_marks_the_chosen_setting_on_its_curve(found):
    figure, _, analyses = drawn(found, "deferral")
    (axes,) = figure.axes
    deferral = analyses.cascade.deferral
    assert dots(axes)["chosen: fixed"].tolist() == [list(deferral.chosen)]
    curve = lines(axes)["every threshold"]
    assert np.abs(curve - np.array(deferral.chosen)).sum(axis=1).min() < 1e-9
    assert lines(axes)["random deferral: as many leave, by chance"][:, 1].tolist() == (
        deferral.random.score.tolist()
    )


def test_bars_show_the_shares_of_all_examples(found):
    for name in ("agreement", "wrong_exits", "exits_by_class"):
        figure, _, analyses = drawn(found, name, "three stages")
        (axes,) = figure.axes
        rows = {}
        for bar in axes.patches:
            rows.setdefault(round(bar.get_y() + bar.get_height() / 2), []).append(bar.get_width())
        sums = [sum(widths) for _, widths in sorted(rows.items())]
        left = analyses.cascade.wrong_exits.left / 200
        assert sums == pytest.approx(left if name == "wrong_exits" else [1.0] * len(sums))
        assert len(rows) == 3


def test_a_large_pool_is_drawn_in_part_and_says_so(found):
    figure, results, analyses = drawn(found, "threshold_curve", "many models and classes")
    assert len(analyses.models) == 15 and len(figure.axes) == 12
    assert figure.get_suptitle().endswith("12 of 15 models")
    shown = {axes.get_title(loc="left") for axes in figure.axes}
    assert len(shown) == 12
    best = view.best_single(results).name
    assert any(best.endswith(title.rsplit("…")[-1]) for title in shown)


def test_published_points_are_drawn_as_they_are_and_relatively(found):
    figure, results, analyses = drawn(found, "published", "many models and classes")
    left, right = figure.axes
    points = analyses.published
    cascades = "cascades, Wang et al. 2020 (Wisdom of Committees)"
    assert len(dots(left)[cascades]) == len(dots(right)[cascades]) == 28
    early = [p for p in points if p.cost is None]
    assert [p.method for p in early] == [
        "Shallow-Deep Networks",
        "Patience-based Early Exit",
        "Zero Time Waste",
    ]
    for point in early:
        label = f"{point.method}, {point.source}"
        assert dots(right)[label].tolist() == [[point.cost_share, point.score_change]]
        assert len(dots(left)[label]) == 0
    best = view.best_single(results).report
    relative = dots(right)["the Pareto front's settings on report"]
    assert relative.tolist() == [
        [row.report_cost / best.cost, row.report_score - best.score] for row in results.frontier
    ]


def test_published_rows_agree_with_what_their_tables_print_beside_them():
    points = published_points("imagenet")
    assert len(points) == len({(p.source, p.method) for p in points}) == 45
    by_name = {p.method: p for p in points}
    for point in points:
        assert point.table_or_figure and point.note and point.cost_unit == "macs"
        if point.reference is None:
            assert point.cost_share is None and point.score_change is None
            continue
        if point.cost is None:
            assert point.score is None and 0 < point.cost_share < 1 and point.score_change < 0
            continue
        assert point.cost_share == point.cost / by_name[point.reference].cost
        assert point.score_change == point.score - by_name[point.reference].score
        if "Similar Accuracy" in point.table_or_figure:
            assert point.cost_share < 1 and -1e-9 < point.score_change < 0.005
        else:
            assert point.score_change > 0.005 and 0.9 < point.cost_share < 1.06


@pytest.mark.real_data
def test_published_rows_are_those_that_the_papers_print():
    papers = ROOT / "../shared/papers"
    if not papers.is_dir():
        pytest.skip(f"{papers} is not there")
    (wang,) = papers.glob("001_*.txt")
    (lebovitz,) = papers.glob("000_*.txt")
    points = {p.method: p for p in published_points("imagenet")}
    table = wang.read_text(encoding="utf-8").split("Table 1: Cascades of EfficientNet")[0]
    rows, family = 0, ""
    for line in table[table.rindex("Solitary Models") :].splitlines()[2:]:
        cells = [re.sub(r"</?b>", "", cell).strip() for cell in line.split("\t")]
        if len(cells) > 1 and not any(cells[1:]):
            family = cells[0]
        elif len(cells) == 9:
            name = cells[0].removeprefix("R") if family == "ResNet" else cells[0]
            alone = f"{family}-{name}"
            methods = [alone, *(f"cascade of {family} at the {k} of {alone}" for k in KINDS)]
            for method, (score, cost) in zip(
                methods, (cells[1:3], cells[3:5], cells[6:8]), strict=True
            ):
                point = points[method]
                assert point.score == pytest.approx(float(score) / 100, abs=1e-12), method
                assert point.cost == pytest.approx(float(cost) * 1e9, rel=1e-12), method
                assert f"row {cells[0]}," in point.table_or_figure
            rows += 1
    assert rows == 14
    text = " ".join(lebovitz.read_text(encoding="utf-8").split())
    for said in (
        "Deep Networks (Kaya et al., 2019), Patience-based Early Exit (Zhou et al., 2020), "
        "and Zero Time Waste (Wołczyk et al., 2021). For an average reduction in inference MAC by "
        "25%, the accuracy drops by 6.1%, 10.4%, and 5.7% for the respective methods.",
        "The inference cost of a ResNet-50 is 4.111 GMAC.",
    ):
        assert said in text
    quoted = ("Shallow-Deep Networks", "Patience-based Early Exit", "Zero Time Waste")
    drops = [(points[name].cost_share, points[name].score_change) for name in quoted]
    assert drops == [(0.75, -0.061), (0.75, -0.104), (0.75, -0.057)]


KINDS = ("FLOPS", "accuracy")


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(CascadeError, match=r"^published=cifar10: expected one of imagenet$"):
        published_points("cifar10")


def test_the_page_shows_deferral_and_transfer_where_there_are_any(found):
    titles = {
        "From selection to report": ("usual", "three stages", "one model"),
        "Between random and ideal deferral": ("usual", "three stages"),
    }
    for pool in ("usual", "three stages", "one model"):
        results, analyses = found(pool)
        page = Page(html_text(Findings(results, analyses), config_yaml="", command=""))
        assert {title for title in titles if title in page.text} == {
            title for title, pools in titles.items() if pool in pools
        }
        bare = Page(html_text(Findings(results), config_yaml="", command=""))
        assert not any(title in bare.text for title in titles)
        assert page.tags.count("svg") > bare.tags.count("svg")


def test_analyses_import_nothing_heavy():
    code = (
        "import sys; from pathlib import Path\n"
        "from cascade_exp.report.results import analyses, published\n"
        "from cascade_exp.report.figures.registry import written_figures\n"
        "written_figures(Path('nowhere'))\n"
        "heavy = {'matplotlib', 'jinja2', 'torch', 'wandb', 'pandas', 'sklearn', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
