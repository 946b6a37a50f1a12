import json

import numpy as np
import pytest

from cascade_exp.cascade.frontier import improvement_factor
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation import analyses as module
from cascade_exp.evaluation.evaluation import check_settings
from cascade_exp.report.figures.registry import all_figures
from cascade_exp.report.results.analyses import TABLES
from tests.evaluating import evaluated, settings_of, write_answers
from tests.recordings.making import make_recordings
from tests.running import run

COSTS = {"a": 1.0, "b": 10.0}
LABELS = [0, 1, 2, 0, 1, 2]
# a is right on examples 0, 1, 3; b on 0, 2, 3, 5; on example 4 both say 0
ANSWERS = {
    "a": ([0, 1, 1, 0, 0, 1], [0.9, 0.8, 0.3, 0.6, 0.5, 0.4]),
    "b": ([0, 0, 2, 0, 0, 2], [0.9, 0.2, 0.9, 0.8, 0.7, 0.6]),
}
FIXED = (
    "metric=recorded",
    "cascade=stages",
    "cascade.stages=[a,b]",
    "threshold.rules=[fixed]",
    "threshold.fixed=[0.55]",
)
NAN = float("nan")


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=1e-12)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boxes")
    for split in ("selection", "report"):
        write_answers(folder, COSTS, split, LABELS, ANSWERS)
    return folder


@pytest.fixture(scope="module")
def by_hand(boxes):
    return evaluated(boxes, *FIXED)[1]


def test_curves_of_a_model(by_hand):
    assert [model.model for model in by_hand.models] == ["a", "b"]
    a = by_hand.models[0]
    sure = [0.3, 0.4, 0.5, 0.6, 0.8, 0.9]
    assert a.reliability.window == 1
    close(a.reliability.confidence, sure)
    close(a.reliability.accuracy, [0, 0, 0, 1, 1, 1])
    close(a.threshold.threshold, [*sure, np.inf])
    close(a.threshold.below, range(7))
    close(a.threshold.accuracy_below, [NAN, 0, 0, 0, 1 / 4, 2 / 5, 3 / 6])
    close(a.threshold.accuracy_above, [3 / 6, 3 / 5, 3 / 4, 1, 1, 1, NAN])
    close(a.risk_coverage.coverage, np.arange(1, 7) / 6)
    close(a.risk_coverage.risk, [0, 0, 0, 1 / 4, 2 / 5, 3 / 6])
    close(a.risk_coverage.area, (1 / 4 + 2 / 5 + 3 / 6) / 6)
    close(a.most_confident.share, np.arange(1, 7) / 6)
    close(a.most_confident.accuracy, [1, 1, 1, 3 / 4, 3 / 5, 3 / 6])
    close(a.most_confident.bound, [1, 1, 1, 3 / 4, 3 / 5, 3 / 6])
    assert a.chosen is not None and (a.chosen.threshold, a.chosen.below) == (0.55, 3)
    assert by_hand.models[1].chosen is None


def test_deferral_between_chance_and_knowing(by_hand):
    found = by_hand.cascade.deferral
    on = np.arange(7) / 6
    close(found.threshold, [-np.inf, 0.4, 0.5, 0.6, 0.8, 0.9, np.inf])
    close(found.cascade.cost, 1 + 10 * on)
    close(found.cascade.score, np.array([3, 4, 5, 5, 5, 4, 4]) / 6)
    close(found.random.cost, found.cascade.cost)
    close(found.random.score, 3 / 6 * (1 - on) + 4 / 6 * on)
    close(found.ideal.cost, 11 - 10 * on)
    close(found.ideal.score, np.array([4, 5, 5, 5, 5, 4, 3]) / 6)
    # 0, 1, 3 leave at a; 2, 5 at b; 4 is never right and runs both
    close(found.leave_iff_right, (6.0, 5 / 6))
    close(found.chosen, (6.0, 5 / 6))


def test_agreement_wrong_exits_and_classes(by_hand):
    found = by_hand.cascade
    (pair,) = found.agreements
    assert (pair.first, pair.second) == ("a", "b")
    agreement = pair.agreement
    assert (agreement.both_right, agreement.only_first, agreement.only_second) == (2, 1, 2)
    assert (agreement.both_wrong, agreement.same_wrong) == (1, 1)
    assert found.wrong_exits.left.tolist() == [3, 3]
    assert found.wrong_exits.wrong.tolist() == [0, 1]
    assert found.wrong_exits.wrong_at_last_too.tolist() == [0, 1]
    exits = [(one.label, one.name, one.examples, one.exit_rates) for one in found.exits_by_class]
    assert exits == [
        (0, None, 2, [1.0, 0.0]),
        (1, None, 2, [0.5, 0.5]),
        (2, None, 2, [0.0, 1.0]),
    ]


def test_the_front_is_searched_again_on_report(by_hand):
    rows = [(row.stages, row.cost, row.score) for row in by_hand.reoptimised.rows]
    assert [row[0] for row in rows] == [["a", "b"]] * 3
    close([row[1] for row in rows], [1, 1 + 10 / 6, 1 + 20 / 6])
    close([row[2] for row in rows], [3 / 6, 4 / 6, 5 / 6])
    # single models: 3/6 at 1, 4/6 at 10; above that there is no baseline
    factors = [row.improvement for row in by_hand.reoptimised.rows]
    close(factors[:2], [1, 10 / (1 + 10 / 6)])
    assert factors[2] is None
    assert by_hand.reoptimised.exact
    # one step from 3/6 to 4/6 at a cost of 1 + 10/6, the baseline rising from 1 to 10
    close(by_hand.reoptimised.average_improvement, (1 + 10) / 2 / (1 + 10 / 6))


def test_strictly_greater_lets_the_threshold_itself_go_on(boxes):
    strict = (*FIXED[:-1], "threshold.fixed=[0.6]", "threshold.compare=gt")
    _, found = evaluated(boxes, *strict)
    assert found.models[0].chosen.below == 4
    _, found = evaluated(boxes, *strict[:-1])
    assert found.models[0].chosen.below == 3


def test_frozen_thresholds_cost_what_the_oracle_does_not(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 4.0, "c": 9.0}, size=400)
    evaluation, found = evaluated(tmp_path)
    baseline = evaluation.measuring.splits.report.baseline
    best = [(row.score, row.cost) for row in found.reoptimised.rows]
    assert best == sorted(best)
    for row in evaluation.results.frontier:
        assert min(cost for score, cost in best if score >= row.report_score) <= row.report_cost
    for row in found.reoptimised.rows:
        factor = improvement_factor([row.score], [row.cost], baseline)[0]
        assert row.improvement == (None if np.isnan(factor) else factor)
        literal = evaluation.measuring.point(
            evaluation.measuring.splits.report,
            [evaluation.measuring.splits.report.pool.names.index(name) for name in row.stages],
            row.thresholds,
        )
        assert (literal.score, literal.worst_case_cost) == (row.score, row.worst_case_cost)
        assert literal.cost == pytest.approx(row.cost, rel=1e-12)


@pytest.mark.parametrize("accounting", ["cumulative", "exit_tier"])
def test_random_deferral_of_three_stages_has_the_cascades_own_exit_rates(tmp_path, accounting):
    make_recordings(tmp_path, {"a": 1.0, "b": 4.0, "c": 9.0}, size=50)
    evaluation, found = evaluated(
        tmp_path,
        "cascade=stages",
        "cascade.stages=[a,b,c]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.7,0.6]",
        f"cost.accounting={accounting}",
    )
    measuring, one = evaluation.measuring, evaluation.measuring.splits.report
    alone = [measuring.point(one, [m], []).score for m in range(3)]
    deferral = found.cascade.deferral
    assert len(deferral.threshold) == 51
    for i, threshold in enumerate(deferral.threshold):
        outcome = measuring.outcome(one, [0, 1, 2], [threshold, 0.6])
        assert deferral.cascade.cost[i] == pytest.approx(outcome.cost.mean())
        assert deferral.cascade.score[i] == pytest.approx(one.score(outcome))
        assert deferral.random.cost[i] == pytest.approx(outcome.cost.mean())
        assert deferral.random.score[i] == pytest.approx(outcome.exit_rates @ alone)
    assert [(p.first, p.second) for p in found.cascade.agreements] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    below = [model.chosen and model.chosen.below for model in found.models]
    sure = [one.pool.stage((m,)).confidence for m in range(2)]
    assert below == [int(sum(sure[0] < 0.7)), int(sum(sure[1] < 0.6)), None]


def test_an_ensembles_threshold_is_not_the_later_models_own(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 4.0, "c": 9.0}, size=50)
    _, found = evaluated(
        tmp_path,
        "ensemble=mean_logits",
        "cascade=stages",
        "cascade.stages=[a,b,c]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.7,0.6]",
    )
    assert found.models[0].chosen is not None
    assert found.models[1].chosen is None


def test_ideal_deferral_is_left_out_where_leaving_iff_right_is_not_the_best(tmp_path):
    make_recordings(tmp_path, COSTS, size=60, classes=2)
    fixed = ("cascade=stages", "cascade.stages=[a,b]", "threshold.rules=[fixed]")
    _, found = evaluated(tmp_path, *fixed, "threshold.fixed=[0.9]", "objective=f1")
    assert found.cascade.deferral.ideal is None
    assert found.cascade.deferral.leave_iff_right is None
    assert len(found.cascade.deferral.random.score) == len(found.cascade.deferral.cascade.score)
    _, found = evaluated(tmp_path, *fixed, "threshold.fixed=[0.9]")
    assert found.cascade.deferral.ideal.score.max() == found.cascade.deferral.leave_iff_right[1]


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path):
    make_recordings(tmp_path, COSTS, size=1000)
    evaluation, found = evaluated(tmp_path, *FIXED[1:])
    most = module.THINNED
    for model in found.models:
        assert len(model.reliability.accuracy) == most
        assert len(model.threshold.below) == most
        assert len(model.risk_coverage.risk) == len(model.most_confident.share) == most
        assert model.threshold.below[[0, -1]].tolist() == [0, 1000]
        assert model.risk_coverage.coverage[-1] == 1
    assert len(found.cascade.deferral.threshold) == most
    one = evaluation.measuring.splits.report
    wrong = one.pool.stage((0,)).prediction != one.pool.labels
    # the area is that of all 1,000 points
    order = np.argsort(-one.pool.stage((0,)).confidence)
    area = (np.cumsum(wrong[order]) / np.arange(1, 1001)).mean()
    assert found.models[0].risk_coverage.area == pytest.approx(area, rel=1e-12)


def test_classes_are_named_where_a_recording_names_them(tmp_path):
    make_recordings(tmp_path, COSTS, size=60)
    _, found = evaluated(tmp_path, *FIXED[1:])
    assert {one.name for one in found.cascade.exits_by_class} == {None}
    (tmp_path / "report" / "a.json").write_text("{}")
    (tmp_path / "report" / "b.json").write_text(
        json.dumps({"model": {"classes": ["cat", "dog", "eel"]}})
    )
    _, found = evaluated(tmp_path, *FIXED[1:])
    assert [one.name for one in found.cascade.exits_by_class] == ["cat", "dog", "eel"]
    (tmp_path / "classes.txt").write_text("ant\nbee\ncow\n")
    _, found = evaluated(tmp_path, *FIXED[1:])
    assert [one.name for one in found.cascade.exits_by_class] == ["ant", "bee", "cow"]
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "report" / "b.json").write_text(json.dumps({"model": {"classes": ["cat"]}}))
    _, found = evaluated(tmp_path, *FIXED[1:])
    assert {one.name for one in found.cascade.exits_by_class} == {None}


def test_classes_without_examples_are_left_out(tmp_path):
    for split in ("selection", "report"):
        write_answers(tmp_path, COSTS, split, [0, 5, 5, 0, 5, 5], ANSWERS)
    _, found = evaluated(tmp_path, *FIXED)
    assert [(one.label, one.examples) for one in found.cascade.exits_by_class] == [(0, 2), (5, 4)]


@pytest.mark.parametrize("right", [True, False])
def test_never_wrong_and_never_right(tmp_path, right):
    prediction = LABELS if right else [3] * 6
    answers = {name: (prediction, confidence) for name, (_, confidence) in ANSWERS.items()}
    for split in ("selection", "report"):
        write_answers(tmp_path, COSTS, split, LABELS, answers)
    _, found = evaluated(tmp_path, *FIXED)
    assert found.models[0].risk_coverage.area == float(not right)
    assert set(found.models[0].most_confident.bound) == {float(right)}
    assert set(found.cascade.deferral.ideal.score) == {float(right)}
    assert found.cascade.deferral.leave_iff_right == (1.0 if right else 11.0, float(right))
    assert found.cascade.wrong_exits.wrong.tolist() == ([0, 0] if right else [3, 3])
    assert len(found.reoptimised.rows) == 1
    assert found.reoptimised.average_improvement is None


def test_a_single_model_has_no_cascade_to_analyse(tmp_path):
    make_recordings(tmp_path, {"only": 3.0}, size=1)
    _, found = evaluated(tmp_path)
    assert found.cascade is None
    assert [model.chosen for model in found.models] == [None]
    assert len(found.models[0].reliability.accuracy) == 1
    assert [row.stages for row in found.reoptimised.rows] == [["only"]]


def test_no_rule_met_leaves_the_models(tmp_path):
    make_recordings(tmp_path, COSTS, size=60)
    rule = ("threshold.rules=[target_cost]", "threshold.target_cost=0.5")
    evaluation, found = evaluated(tmp_path, *rule)
    assert evaluation.results.chosen is None
    assert found.cascade is None and len(found.models) == 2


def test_nothing_is_reoptimised_where_thresholds_were_chosen_on_report(tmp_path):
    make_recordings(tmp_path, COSTS, size=60)
    _, found = evaluated(tmp_path, "splits.selection=report", "threshold.same_split=true")
    assert found.reoptimised is None


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["published=imagnet"], "published=imagnet: expected one of imagenet (did you mean"),
        (["published=imagenet", "analyses=false"], "but analyses=false"),
        (["published=imagenet", "cost=layers"], "costs in macs, but these are in layers"),
        (["published=imagenet", "objective=f1"], "gives accuracies, but objective=f1"),
    ],
)
def test_published_points_that_cannot_be_compared_are_refused(overrides, said):
    with pytest.raises(CascadeError) as refused:
        check_settings(settings_of(*overrides))
    assert said in str(refused.value)


def test_published_points_come_along_when_asked_for(tmp_path):
    make_recordings(tmp_path, COSTS, size=60)
    assert evaluated(tmp_path)[1].published == []
    assert len(evaluated(tmp_path, "published=imagenet")[1].published) == 45
    table = tmp_path / "models.csv"
    table.write_text(table.read_text().replace("name,macs", "name,layers"))
    with pytest.raises(CascadeError, match="costs in macs, but these are in layers"):
        evaluated(tmp_path, "published=imagenet")


def test_a_job_writes_them_unless_disabled(tmp_path):
    make_recordings(tmp_path / "rec", COSTS, size=60)
    job = tmp_path / "job"
    asked = (f"recordings={tmp_path / 'rec'}", "logger=none", *FIXED[1:])
    run("evaluate", job, *asked)
    tables = {path.stem for path in (job / "results" / "analyses").iterdir()}
    assert tables == set(TABLES)
    with_them = {path.stem for path in (job / "results" / "plots").iterdir()}
    page = (job / "results" / "report.html").read_text()
    assert "Between random and ideal deferral" in page
    run("evaluate", job, *asked, "analyses=false")
    assert not list((job / "results").glob("analyses/*"))
    without = {path.stem for path in (job / "results" / "plots").iterdir()}
    of_analyses = {entry.name for entry in all_figures() if entry.of == "analyses"}
    assert with_them - without == of_analyses - {"published"}
    page = (job / "results" / "report.html").read_text()
    assert "Between random and ideal deferral" not in page


def test_early_errors_are_the_most_confident_that_left_early_and_were_wrong(tmp_path):
    labels = [0, 0, 1, 1, 0, 1]
    small = ([0, 1, 0, 1, 1, 0], [0.9, 0.8, 0.95, 0.2, 0.1, 0.85])
    large = ([0, 0, 1, 1, 0, 0], [0.9] * 6)
    for split in ("selection", "report"):
        answers = {"small": small, "large": large}
        write_answers(tmp_path, {"small": 1.0, "large": 9.0}, split, labels, answers)
    _, analyses = evaluated(
        tmp_path,
        "metric=recorded",
        "cascade=stages",
        "cascade.stages=[small,large]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.8]",
    )
    assert analyses.cascade is not None
    errors = [(e.example, e.answer, e.label, e.last_answer) for e in analyses.cascade.early_errors]
    assert errors == [(2, 0, 1, 1), (5, 0, 1, 0), (1, 1, 0, 0)]
    assert [e.confidence for e in analyses.cascade.early_errors] == [0.95, 0.85, 0.8]
    assert {e.stage for e in analyses.cascade.early_errors} == {0}
