"""The page's sections of tiers, links and methods at equal speed-up show all their numbers."""

from dataclasses import replace

import numpy as np
import pytest

from cascade_exp.evaluation.comparisons.speed_ups import compare_speed_ups
from cascade_exp.evaluation.comparisons.tier_baselines import tier_baselines
from cascade_exp.evaluation.latency import latencies
from cascade_exp.evaluation.tier_analyses import tier_analyses
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.figures import style
from cascade_exp.report.figures.registry import all_figures
from cascade_exp.report.figures.speed_ups import emitted_figure
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import numbers, speed_ups_view, tiers_view, view
from cascade_exp.report.pages.html import html_text
from tests.evaluating import evaluated, settings_of
from tests.evaluation.comparisons.test_speed_ups import EXITS, MEMBERS, MODELS, with_members
from tests.recordings.making import add_exits, make_recordings
from tests.report.pages.test_html import Page

TIERS = ("cascade=tiers", "cascade.tiers={edge:[a,b,c],cloud:[d]}", "metric=vote")
FIXED = ("threshold.rules=[fixed]", "threshold.fixed=[1]")


def shown(found):
    text = html_text(found, config_yaml="x: 1", command="uv run")
    return Page(text).text, text


def assert_shown_twice(text, *names):
    """Once for a wide screen and once for a narrow one."""
    titles = {entry.name: entry.title for entry in all_figures()}
    for name in names:
        assert text.count(f'aria-label="{titles[name]}"') == 2, name


def tiers_of(folder, *overrides):
    evaluation, analyses = evaluated(folder, *TIERS, *FIXED, *overrides)
    measuring, results = evaluation.measuring, evaluation.results
    point = view.chosen(results)
    return Findings(
        results,
        analyses,
        tiers=tier_analyses(measuring, point),
        tier_baselines=tier_baselines(measuring, results, point),
        latencies=latencies(measuring, results.operating_points),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    make_recordings(folder, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0}, size=80)
    models = (folder / "models.csv").read_text().splitlines()
    rows = [f"{row},{float(row.split(',')[1]) / 1000!r}" for row in models[1:]]
    (folder / "models.csv").write_text("\n".join([f"{models[0]},seconds", *rows]) + "\n")
    return folder


def test_tiers_beside_what_they_replace(folder):
    found = tiers_of(folder)
    read, text = shown(found)
    for point in tiers_view.compared(found.tier_baselines):
        low, high = point.score_interval
        row = (
            f"{tiers_view.METHODS[point.method]} {'>'.join(point.stages)}"
            f"{'all 3 agree' if point.method == 'tiers' else ''} "
            f"{100 * point.score:.1f} % [{100 * low:.1f}, {100 * high:.1f}] "
        )
        assert row + numbers.cost(point.cost, "macs").replace(numbers.SPACE, " ") in read
    assert "What examples wait" not in read and "early-exit networks" not in read
    assert_shown_twice(text, "tier_comparison", "exits_by_threshold", "parallel")


def test_both_accountings_of_every_tier_are_side_by_side(folder):
    found = tiers_of(folder)
    read, _ = shown(found)
    baselines = found.tier_baselines
    assert tiers_view.units(baselines) == ["macs", "seconds"]
    assert {row.unit for row in baselines.costs} == {"macs", "seconds"}
    for method in tiers_view.costs_by_method(baselines):
        for i, stage in enumerate(method.stages):
            cells = [
                numbers.short_cost(cost, row.unit)
                for row in stage.costs
                for cost in (row.cumulative, row.exit_tier)
            ]
            row = " ".join([stage.stage, numbers.percent(stage.share), *cells])
            assert row.replace(numbers.SPACE, " ") in read
            assert [c.stage for c in stage.costs] == [method.stages[i].stage] * 2
        point = next(p for p in baselines.points if p.compared and p.method == method.method)
        assert method.totals[0][0] == pytest.approx(point.cost)  # the job's own: cumulative macs
        assert method.totals[0][1] <= method.totals[0][0]
    assert "This evaluation counts cumulatively." in read
    agreed = found.tiers.rows[0]
    share = numbers.percent(agreed.wrong_agreements / agreed.examples).replace(numbers.SPACE, " ")
    row = f"a+b+c all 3 agree {agreed.examples} {agreed.wrong_agreements} {share}"
    assert f"{row} {agreed.wrong_at_last_too} " in read


def test_latency_where_links_count(folder):
    found = tiers_of(folder, "cost=edge_cloud", "cost.parallel=max")
    read, _ = shown(found)
    chosen, everything = found.latencies
    assert everything.rule == "all to the last"
    for row in (chosen, everything):
        cells = [row.mean, row.p50, row.p95, row.p99, row.link]
        costs = " ".join(numbers.cost(value, "seconds") for value in cells)
        saved = numbers.factor(row.communication_saved)
        assert f"{'>'.join(row.stages)} {costs} {saved}".replace(numbers.SPACE, " ") in read
    assert "Links are not counted here" in read


def test_a_search_over_tiers_that_chose_a_single_model(folder):
    evaluation, _ = evaluated(
        folder, "cascade=tiers", "metric=vote", "cascade.sizes=[2]", "search.max_stages=1"
    )
    results, measuring = evaluation.results, evaluation.measuring
    found = Findings(
        results,
        tiers=tier_analyses(measuring, view.chosen(results)),
        tier_baselines=tier_baselines(measuring, results, view.chosen(results)),
    )
    read, _ = shown(found)
    assert "Tiers beside what they replace" in read and "Wrong agreements" not in read


@pytest.fixture(scope="module")
def speed_ups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed_ups")
    make_recordings(folder, MODELS, size=80)
    rows = "".join(f"{name},{cost!r},{int(cost)}\n" for name, cost in MODELS.items())
    (folder / "models.csv").write_text(f"name,macs,layers\n{rows}")
    add_exits(folder, "net", EXITS)
    text = (folder / "models.csv").read_text()
    (folder / "models.csv").write_text(text.replace("net,6.0", "net,6.0,6"))
    settings = with_members(settings_of("cost=layers"), MEMBERS)
    evaluation, _ = evaluated(folder, "cost=layers")
    return evaluation.results, compare_speed_ups(open_recordings(folder), settings)


def test_methods_at_equal_speed_up(speed_ups):
    results, found = speed_ups
    read, text = shown(Findings(results, speed_ups=found))
    lines = speed_ups_view.lines(found)
    assert [line.name for line in lines] == ["six", *MEMBERS]
    for line in lines:
        cells = [
            f"{numbers.score(row.report_score)} {numbers.interval(row.report_interval)} "
            f"{row.report_speed_up:.2f}×"
            if abs(row.selection_speed_up / row.target - 1) <= 0.1
            else "–"
            for row in line.cells
            if row is not None
        ]
        assert " ".join([line.name, *cells]).replace(numbers.SPACE, " ") in read
    for target in speed_ups_view.targets(found)[1:]:
        column = [row for row in found.rows if row.target == target]
        best = [row for row in column if speed_ups_view.is_best(found, row)]
        near = [
            row
            for row in column
            if all(
                0.9 * target <= speed_up <= 1.1 * target
                for speed_up in (row.selection_speed_up, row.report_speed_up)
            )
        ]
        top = max(row.report_score for row in near)
        assert best == [row for row in near if row.report_score == top]
    assert any(
        row.report_score > top and not speed_ups_view.is_best(found, row) for row in column
    )  # scores higher, and is far from 4×
    for longer, without, added, rows in speed_ups_view.added(found):
        for row in rows:
            gains = f"{numbers.gain(row.expected)} {numbers.gain(row.measured)}"
            assert f"{longer} {without} {added} {row.target:g}× {gains}" in read
    assert_shown_twice(text, "speed_ups", "emitted", "inversions")


def test_speed_ups_on_a_further_split_have_a_table_of_their_own(speed_ups):
    results, found = speed_ups
    halved = [replace(row, report_score=row.report_score / 2) for row in found.rows]
    read, _ = shown(
        Findings(results, speed_ups=replace(found, elsewhere={"mnli_mismatched": halved}))
    )
    here, there = read.split("On mnli_mismatched ")
    assert "On report " in here and "on report and mnli_mismatched" in here
    for text, rows in ((here, found.rows), (there, halved)):
        for row in filter(speed_ups_view.is_reached, rows):
            assert numbers.score(row.report_score).replace(numbers.SPACE, " ") in text


@pytest.mark.parametrize("size", [style.WIDE, style.NARROW, style.ALONE])
def test_a_panel_for_each_network_and_speed_up_and_none_more(speed_ups, size):
    results, found = speed_ups
    with style.house_style():
        figure = emitted_figure(results, found, size)
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == len({(row.method, row.target) for row in found.emitted}) > 2
    assert all(np.size(axes.lines) for axes in drawn)
