import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Difference


def said(sentence):
    return "".join(words.text for words in sentence).replace(numbers.SPACE, " ")


def with_report(results, **changes):
    """``results`` whose chosen point measured differently on the report split."""
    point = view.chosen(results)
    point = dataclasses.replace(point, report=dataclasses.replace(point.report, **changes))
    return dataclasses.replace(results, operating_points={point.rule: point}, chosen=point.rule)


def test_the_reference_is_picked_without_the_report_split(results):
    by_report = max(results.single_models, key=lambda m: m.report.score)
    swapped = [
        dataclasses.replace(
            model, selection=dataclasses.replace(model.selection, score=1 - model.selection.score)
        )
        for model in results.single_models
    ]
    other = dataclasses.replace(results, single_models=swapped)
    assert view.best_single(results) == by_report
    assert view.best_single(other).name == results.single_models[0].name != by_report.name


def test_headline_says_keeping_beating_and_falling_short(results):
    best = view.best_single(results).report.score
    kept, better, worse = (
        said(view.headline(with_report(results, score=best + change)))
        for change in (0.0, 0.01, -0.02)
    )
    assert kept.startswith("resnet20>resnet56 keeps the score of resnet56 (")
    assert "beats resnet56 (94.8 %" in better and ", 1.0 points more)" in better
    assert "comes within 2.0 points of resnet56" in worse
    share = view.reported(view.chosen(results)).cost / view.best_single(results).report.cost
    for sentence in (kept, better, worse):
        assert sentence.endswith(f"at {100 * share:.0f} % of its cost.")


def with_difference(results, score, interval, reference="resnet56"):
    """The chosen point with the paired difference from ``reference``, in results."""
    rule = results.chosen
    point = dataclasses.replace(
        results.operating_points[rule],
        difference=Difference(reference, score, interval, -44.1e6, (-45.2e6, -43.1e6)),
    )
    points = {**results.operating_points, rule: point}
    return dataclasses.replace(results, operating_points=points)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.tuples(st.integers(-50, 50), st.integers(-50, 50)).map(sorted))
def test_the_headline_says_whether_the_difference_may_be_noise(results, ends):
    low, high = (end / 1000 for end in ends)
    best = view.best_single(results).report.score
    found = with_difference(with_report(results, score=best - 0.013), -0.013, (low, high))
    sentence = said(view.headline(found))
    assert f"difference [{numbers.gain(low)}, {numbers.gain(high)}] points" in sentence
    assert ("includes no difference" in sentence) == (low <= 0 <= high)
    assert "comes within 1.3 points of resnet56" in sentence


def test_the_paired_difference_names_its_reference(results):
    found = with_difference(results, -0.013, (-0.02, -0.006), "resnet32")
    words = view.difference_words(found, view.chosen(found)).replace(numbers.SPACE, " ")
    assert words == ("−1.3 points [−2.0, −0.6], −44.1 M MACs [−45.2M, −43.1M] against resnet32")
    # the headline is about resnet56, of which this difference says nothing
    assert "difference" not in said(view.headline(found))
    assert view.difference_words(results, view.chosen(results)) == ""


def test_headline_without_a_cascade_and_without_a_choice(make_results, results):
    alone = make_results(models=(("only", 4.0, 1e6),), size=50)
    assert said(view.headline(alone)).startswith(
        "No cascade was chosen: only alone, the best model on selection"
    )
    none = dataclasses.replace(
        results,
        chosen=None,
        operating_points={"target_cost": results.operating_points["target_cost"]},
    )
    reason = results.operating_points["target_cost"].reason
    assert said(view.headline(none)) == f"No rule could be met: {reason}."


def test_confidence_has_the_metrics_own_label_wherever_it_is_named(make_results):
    results = make_results(metric="entropy")
    label = make_metric("entropy").label
    assert view.confidence(results) == label
    assert view.model_confidence(results) == ("entropy", label)
    vote = dataclasses.replace(
        results,
        settings={
            **results.settings,
            "confidence": {"name": "vote", "label": "share of votes"},
            "model_confidence": {"name": "max_softmax", "label": "max softmax"},
        },
    )
    # single models do not vote: their reliability is of their own confidence
    assert view.model_confidence(vote) == ("max_softmax", "max softmax")
    assert view.confidence(vote) == "share of votes"


def test_stages_add_up(make_results):
    results = make_results(size=150, max_stages=3)
    for point in results.operating_points.values():
        if not point.feasible:
            continue
        found = view.stages(results, point)
        assert sum(stage.exits for stage in found) == pytest.approx(1)
        assert sum(stage.exits * stage.paid for stage in found) == pytest.approx(point.report.cost)
        assert sum(stage.reaches * stage.own_cost for stage in found) == pytest.approx(
            point.report.cost
        )


def test_exit_tier_pays_only_the_stage_that_answers(make_results):
    results = make_results(accounting="exit_tier")
    found = view.stages(results, view.chosen(results))
    assert [stage.paid for stage in found] == [stage.own_cost for stage in found]
    assert any("only the tier that answered" in caution for caution in view.cautions(results))


def test_a_stage_that_is_no_single_model_has_its_own_cost(results):
    point = dataclasses.replace(
        view.chosen(results), stages=["a+b", "resnet56"], stage_costs=[3.0, 4.0]
    )
    assert [stage.own_cost for stage in view.stages(results, point)] == [3.0, 4.0]
    assert [stage.paid for stage in view.stages(results, point)] == [3.0, 7.0]


def test_stages_say_what_the_kind_of_cascade_says(results):
    point = dataclasses.replace(view.chosen(results), conditions=["a coin shows heads"])
    assert [stage.leaves for stage in view.stages(results, point)] == [
        "a coin shows heads",
        "always",
    ]
    row = dataclasses.replace(results.frontier[-1], stages=["a", "b"])
    results = dataclasses.replace(results, conditions=lambda row: point.conditions)
    assert view.front_label(results, row)[:2] == ["a>b", "a answers if a coin shows heads"]


def test_report_improvements_use_the_report_splits_own_baseline(results):
    scores, costs = zip(*results.baseline["report"], strict=True)
    for row, found in zip(results.frontier, view.report_improvements(results), strict=True):
        if row.report_score > scores[-1]:
            assert found is None
        else:
            left = max((s for s in scores if s <= row.report_score), default=scores[0])
            right = min((s for s in scores if s >= row.report_score), default=scores[-1])
            c = dict(zip(scores, costs, strict=True))
            if left == right or row.report_score < scores[0]:
                expected = c[left] if row.report_score >= scores[0] else costs[0]
            else:
                share = (row.report_score - left) / (right - left)
                expected = c[left] + share * (c[right] - c[left])
            assert found == pytest.approx(expected / row.report_cost)


def test_an_improvement_that_only_the_selection_split_saw_is_said(results):
    lost = with_report(results, improvement=0.9)
    assert any("selection-only" in caution for caution in view.cautions(lost))
    kept = with_report(results, improvement=1.2)
    assert not any("selection-only" in caution for caution in view.cautions(kept))


def test_split_sentences(results, make_results):
    assert "chosen on selection (400 examples)" in view.split_sentence(results)
    assert "report (400 examples), which no choice has seen" in view.split_sentence(results)
    assert view.cautions(results) == []
    same = make_results(same_split=True)
    assert any("optimistic" in caution for caution in view.cautions(same))


def test_rules_that_chose_one_setting_are_reported_once(results):
    points = results.operating_points
    twice = {**points, "target_accuracy": dataclasses.replace(points["match_accuracy"], rule="x")}
    grouped = view.rules_by_setting(dataclasses.replace(results, operating_points=twice))
    assert [rules for rules, _ in grouped] == [
        ["match_accuracy", "target_accuracy"],
        ["max_improvement"],
        ["target_cost"],
    ]


def test_figures_in_words(results, make_results):
    sentence = view.figures_sentence(results).replace(numbers.SPACE, " ")
    average = results.figures["report"].average_improvement
    assert f"Average improvement {average:.2f}× over accuracy 80.5 % to 93.8 %." in sentence
    figures = results.figures["report"]
    score = numbers.score(figures.max_improvement_score).replace(numbers.SPACE, " ")
    assert (
        "The setting of the largest improvement on selection reaches "
        f"{figures.max_improvement:.2f}× at {score}."
    ) in sentence
    top = numbers.score(figures.top_score).replace(numbers.SPACE, " ")
    assert f"The setting of the highest accuracy on selection scores {top} on report, " in sentence
    alone = make_results(models=(("only", 4.0, 1e6),), size=50)
    assert view.figures_sentence(alone).startswith("No average improvement")


def test_a_setting_that_scores_above_all_single_models_on_report_has_no_factor(results):
    report = dataclasses.replace(
        results.figures["report"], max_improvement=None, max_improvement_score=0.95
    )
    figures = {**results.figures, "report": report}
    sentence = view.figures_sentence(dataclasses.replace(results, figures=figures))
    assert "on selection scores 95.0 %, more than any single model." in sentence.replace(
        numbers.SPACE, " "
    )


def test_a_front_that_is_not_exact_says_what_was_done_instead(results):
    settings = {**results.settings, "exact": False, "search_note": "every tenth threshold"}
    found = view.cautions(dataclasses.replace(results, settings=settings))
    assert found == ["The Pareto front is not exact: every tenth threshold."]
