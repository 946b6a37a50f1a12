"""From a composed configuration to checked settings: each mistake is one line with the full key."""

import pytest
from hydra.errors import ConfigCompositionException

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.entry import one_line
from cascade_exp.schema.checks import check_members, refuse_unread, to_settings
from cascade_exp.schema.evaluating import Method
from cascade_exp.schema.training import Callback
from tests.test_configs import composed


@pytest.mark.parametrize(
    ("command", "overrides", "said"),
    [
        ("evaluate", "search.max_stages=0", "search.max_stages=0: expected at least 1"),
        ("evaluate", "search.gap=1", "search.gap=1.0: expected a share from 0 to below 1"),
        ("evaluate", "search.workers=0", "search.workers=0: expected at least 1"),
        ("evaluate", "search.backend=dask", "search.backend=dask: expected one of loky, ray"),
        ("evaluate", "bootstrap.resamples=0", "bootstrap.resamples=0: expected at least 1"),
        ("evaluate", "baseline=hul", "baseline=hul: expected one of hull, adjacent"),
        ("evaluate", "threshold.compare=le", "threshold.compare=le: expected one of ge, gt"),
        ("evaluate", "threshold.rules=[best]", "threshold.rules=best: expected one of"),
        ("evaluate", "cost.accounting=all", "cost.accounting=all: expected one of cumulative"),
        ("evaluate", "cost=dollars cost.basis=hour", "cost.basis=hour: expected one of per"),
        ("evaluate", "objective=topk_accuracy objective.k=0", "objective.k=0: expected at least 1"),
        ("evaluate", "objective=f1 objective.average=mean", "objective.average=mean: expected"),
        ("evaluate", "metric=learned metric.base=learned", "metric.base=learned: expected a"),
        ("evaluate", "splits.report=selection", "selecting and reporting on the same examples"),
        ("evaluate", "recordings=a run=b", "recordings and run both name recordings"),
        ("evaluate", "++logger.csv=[x]", "logger.csv=['x']: expected the settings of a logger"),
        ("evaluate", "+methods.a=3", "methods.a=3: expected settings with the keys metric"),
        ("evaluate", "+methods.a.metrik=x", "methods.a.metrik: no such key"),
        ("train", "regularizer=dar regularizer.margin=2", "regularizer.margin=2.0: expected a"),
        ("train", "regularizer=dar regularizer.folds=1", "regularizer.folds=1: expected at least"),
        ("train", "regularizer=dar regularizer.fold=8", "regularizer.fold=8: expected 0 to 7"),
        ("train", "distillation=vanilla distillation.alpha=2", "distillation.alpha=2.0: expected"),
        ("train", "distillation=theseus distillation.ramp=0", "distillation.ramp=0.0: expected"),
        ("train", "optimizer.decay=step", "optimizer.decay=step: expected one of linear"),
        ("train", "optimizer.warmup_share=1", "optimizer.warmup_share=1.0: expected a share"),
        ("train", "timing.repeats=0", "timing.repeats=0: expected at least 1"),
        ("train", "recording.shares=2", "recording.shares=2: which of them is this job's?"),
        (
            "train",
            "recording.shares=2 recording.share=2 train=false",
            "recording.share=2: expected",
        ),
        ("train", "recording.shares=2 recording.share=0", "recording.share=0: with train=true"),
        ("train", "run=a", "run=a: its models are trained; give train=false"),
        ("train", "best_by=val/loss", "best_by=val/loss: expected one of val/accuracy"),
        ("train", "+callbacks.x=3", "callbacks.x=3: expected settings with the keys builds"),
        ("train", "callbacks.progress=3", "callbacks.progress=3: expected settings with the keys"),
    ],
)
def test_a_value_out_of_its_range_is_one_line_with_the_full_key(command, overrides, said):
    with pytest.raises(CascadeError) as error:
        to_settings(composed(command, *overrides.split()))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("command", "override", "said"),
    [
        ("train", "trainer.max_epochs=x", "trainer.max_epochs=x: Value 'x'"),
        ("train", "optimizer.options=3", "optimizer.options=3: Cannot assign int"),
        ("train", "optimizer.options=[1]", "optimizer.options=[1]: "),
        ("evaluate", "methods=3", "methods=3: Cannot assign int"),
        ("evaluate", "splits=3", "splits=3: Invalid type"),
        ("train", "recordings=x", "recordings: train.py records its own models"),
        ("train", "compare=x", "compare: only evaluate.py compares jobs"),
        ("evaluate", "search.max_stage=3", "did you mean 'max_stages'?"),
    ],
)
def test_a_value_of_a_wrong_type_and_an_unknown_key_are_one_line(command, override, said):
    with pytest.raises(ConfigCompositionException) as error:
        composed(command, override)
    assert said in one_line(error.value) and "\n" not in one_line(error.value)


def test_methods_and_callbacks_are_read_into_their_dataclass_however_they_are_given():
    given = ("+methods.a.metric=entropy", "+methods.b={metric: topk_sum, k: 2}")
    settings = to_settings(composed("evaluate", *given))
    assert settings.methods == {"a": Method("entropy"), "b": Method("topk_sum", k=2)}
    builds = "pytorch_lightning.callbacks.TQDMProgressBar"
    settings = to_settings(composed("train", f"+callbacks.bar={{builds: {builds}}}"))
    assert settings.callbacks["bar"] == Callback(builds, {})
    assert settings.callbacks["checkpoint"].options["monitor"] == "val/accuracy"


def test_settings_leave_the_configuration_as_it_is():
    config = composed("evaluate", "+methods.a.metric=entropy")
    before = str(config)
    to_settings(config)
    assert str(config) == before


def test_a_renamed_key_of_a_members_training_is_refused_wherever_it_is_written():
    member = "{family: timm, architecture: resnet18, training: {plain: true}}"
    config = composed("train", "models=none", f"models.members={{a: {member}}}")
    with pytest.raises(
        CascadeError, match=r"a\.training\.plain: .* \S+a\.training\.unregularised$"
    ):
        check_members(config.models)


def test_a_pool_on_the_command_line():
    member = "{family: timm, architecture: resnet18}"
    config = composed("train", "models=none", f"models.members={{a: {member}, b: {member}}}")
    assert list(check_members(config.models)) == ["a", "b"]
    with pytest.raises(CascadeError, match=r"models\.members is empty"):
        check_members(composed("train", "models=none").models)


@pytest.mark.parametrize(
    ("cascade", "key", "refused"),
    [
        ("cascade=stages cascade.stages=[a,b]", "search.max_stages=3", True),
        ("cascade=stages cascade.stages=[a,b,c]", "search.gap=0.1", True),
        ("cascade=stages cascade.stages=[a,b,c,d]", "search.gap=0.1", False),
        ("cascade=exits cascade.network=a", "search.gap=0.1", True),
        ("cascade=exits cascade.network=a threshold.shared=false", "search.gap=0.1", False),
        ("cascade=exits cascade.network=a", "search.max_stages=3", True),
        ("cascade=tiers cascade.tiers={x:[a,b],y:[c]}", "search.max_stages=3", True),
        ("cascade=tiers", "search.max_stages=3", False),
        ("cascade=search", "search.gap=0.1", False),
    ],
)
def test_a_key_of_the_search_that_the_cascade_does_not_read_is_refused(cascade, key, refused):
    overrides = [*cascade.split(), key]
    settings = to_settings(composed("evaluate", *overrides))
    if not refused:
        refuse_unread(settings, overrides)
        return
    with pytest.raises(CascadeError, match=rf"^{key} with cascade=\w+: .*nothing reads it"):
        refuse_unread(settings, overrides)
