"""The body of ``train.py``: fine-tune the models of a pool, record them, evaluate cascades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from cascade_exp.data.preview import descriptions, preview
from cascade_exp.errors import CascadeError, choice
from cascade_exp.evaluation.comparisons.methods import check_methods
from cascade_exp.evaluation.comparisons.speed_ups import check_speed_ups
from cascade_exp.evaluation.evaluation import check_settings
from cascade_exp.evaluation.job import report
from cascade_exp.jobs.job import Job, open_job
from cascade_exp.jobs.trials import check_optimize, trial_of
from cascade_exp.learning.checkpoints import drop_checkpoints
from cascade_exp.learning.difficulty import assign_folds
from cascade_exp.models.complete import CompleteModel, load_model, save_model
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.models.meter import Measured, measure, measure_exits
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.previews import write_examples
from cascade_exp.recordings.write import write_exits, write_models
from cascade_exp.report.pages.numbers import cost
from cascade_exp.report.tracking.artifacts import log_recordings
from cascade_exp.schema.checks import Member, check_members
from cascade_exp.schema.evaluating import ExitsCascade
from cascade_exp.schema.training import Dar, Recording, TrainConfig
from cascade_exp.training.devices import check_devices
from cascade_exp.training.fit import fit_member
from cascade_exp.training.labelling import label_stages
from cascade_exp.training.modules import check_training, fits_for
from cascade_exp.training.pool import TrainingPool
from cascade_exp.training.recording import record, record_share
from cascade_exp.training.representations import check_representations, show_representations
from cascade_exp.training.teaching import inner_task_loss, teaches
from cascade_exp.training.timing import seconds_of, timed


def train(config: DictConfig) -> Path:
    """Train, record and evaluate one pool; returns the job's folder."""
    with open_job(config, "train") as job:
        settings = job.settings
        assert isinstance(settings, TrainConfig)
        members = check_members(config.models)
        _check(job, settings, members)
        pool = TrainingPool(job, settings, members, trial_of(settings.optimize))
        plan = _plan(pool)
        if _labels_only(pool, plan):
            return job.folder
        if settings.recording.share is not None:
            _record_share(pool, settings.recording)
        else:
            _train_all(pool, plan)
            _write_costs(pool, plan)
            _evaluate(pool)
        return job.folder


@dataclass(frozen=True)
class _Plan:
    """What each member costs, and which of them learn from what.

    Attributes:
        measured: by model, what the whole of it costs, and each exit of a network with exits.
        last: the complete model that costs most, the last stage; None of networks with exits alone.
        shaped: the complete models that the regulariser and the distillation are for.
    """

    measured: Mapping[str, tuple[Measured, list[dict[str, float]]]]
    last: str | None
    shaped: Sequence[str]


def _check(job: Job, settings: TrainConfig, members: Mapping[str, Member]) -> None:
    """Refuse what the schema alone cannot know, before any compute is spent."""
    check_settings(settings)
    check_methods(settings)
    check_speed_ups(settings)
    strategy = settings.trainer.options.get("strategy")
    check_devices(settings.trainer.devices, strategy, job.multirun)
    _check_exits(settings, members)
    check_training(settings, sum(not _has_exits(member) for member in members.values()))
    _check_trained(settings, members)
    check_optimize(settings.optimize, members)


def _plan(pool: TrainingPool) -> _Plan:
    """Measure every member untrained, and refuse what only their sizes show to be wrong."""
    settings, members = pool.settings, pool.members
    if isinstance(settings.regularizer, Dar):
        assign_folds(pool.splits.train.labels, settings.regularizer.folds, seed=0)
    measured = {name: _measure(_load(pool, name)) for name in members}
    layers = {name: int(found.layers) for name, (found, _) in measured.items()}
    check_representations(settings.representations, layers, pool.source)
    complete = [name for name in members if not _has_exits(members[name])]
    last = max(reversed(complete), key=lambda name: measured[name][0].macs, default=None)
    shaped = [it for it in complete if it != last and not members[it].training.unregularised]
    return _Plan(measured, last, shaped)


def _labels_only(pool: TrainingPool, plan: _Plan) -> bool:
    """Make the difficulty labels that are wanted; whether that is all this job is for."""
    dar = pool.settings.regularizer
    if not isinstance(dar, Dar):
        return False
    fitted = [name for name in plan.shaped if pool.members[name].training.run is None]
    return label_stages(pool, fitted, dar)


def _record_share(pool: TrainingPool, wanted: Recording) -> None:
    for name in pool.members:
        model = _load(pool, name)
        phases = fits_for(pool, model, fits=False, unregularised=True)
        record_share(pool, model, phases[-1].module, pool.feed(model), wanted)


def _train_all(pool: TrainingPool, plan: _Plan) -> None:
    """Train and record every member; first the last stage, where it teaches the others."""
    teacher = None
    if plan.last and plan.shaped and teaches(pool.settings):
        teacher = _teacher(pool, plan)
    for name in pool.members:
        if teacher is None or name != plan.last:
            shaped = name in plan.shaped
            _train_and_record(
                pool, name, plan, unregularised=not shaped, teacher=teacher if shaped else None
            )


def _write_costs(pool: TrainingPool, plan: _Plan) -> None:
    """Write models.csv and exits.csv, with seconds where they are wanted."""
    settings, job = pool.settings, pool.job
    costs = {name: _costs(found) for name, (found, _) in plan.measured.items()}
    exits = {name: of_exits for name, (_, of_exits) in plan.measured.items() if of_exits}
    if timed(settings):
        for name, seconds in seconds_of(settings, job.folder, list(pool.members)).items():
            costs[name]["seconds"] = seconds[-1]
            for at, until in zip(exits.get(name, ()), seconds, strict=name in exits):
                at["seconds"] = until
    folder = job.folder / "recordings"
    write_exits(folder, exits)
    write_models(folder, costs)
    if job.loggers.wandb is not None:
        log_recordings(job.loggers.wandb, folder)


def _evaluate(pool: TrainingPool) -> None:
    settings, job = pool.settings, pool.job
    shown = pool.splits.named("report")
    write_examples(job.folder, "report", descriptions(shown))
    if settings.evaluate:
        raw = pool.splits.named(settings.splits.report) if settings.execute else None
        narrowed, further = settings.pool, list(pool.splits.further)
        opened = open_recordings(job.folder / "recordings", narrowed.include, narrowed.exclude)
        report(job, opened, partial(preview, shown), further, raw)
    if settings.representations.layer is not None:
        show_representations(job, settings.representations)


def _has_exits(member: Member) -> bool:
    return bool(member.model["family"] == "exits")


def _check_exits(settings: TrainConfig, members: Mapping[str, Member]) -> None:
    """Refuse, before anything is trained, an evaluation that would find no cascade to look at."""
    if not settings.evaluate:
        return
    with_exits = [name for name, member in members.items() if _has_exits(member)]
    if isinstance(settings.cascade, ExitsCascade):
        choice(settings.cascade.network, with_exits, "cascade.network")
    elif len(with_exits) == len(members):
        raise CascadeError(
            f"models.members: only networks with exits, which cascade={settings.cascade.name} "
            f"leaves out; give cascade=exits cascade.network={with_exits[0]}"
        )


def _teacher(pool: TrainingPool, plan: _Plan) -> CompleteModel:
    """The last stage, trained before all others because it teaches them."""
    assert plan.last is not None
    for name in plan.shaped:  # a misfit is refused before the teacher is trained
        if not _fits(pool, name):
            continue
        inner_task_loss(pool.settings.distillation, pool.build(name, 0), pool.build(plan.last, 0))
    return _train_and_record(pool, plan.last, plan, unregularised=True)


def _fits(pool: TrainingPool, name: str) -> bool:
    """Whether this job fits the member, a resumed one aside."""
    return pool.settings.train and pool.members[name].training.run is None


def _train_and_record(
    pool: TrainingPool,
    name: str,
    plan: _Plan,
    *,
    unregularised: bool,
    teacher: CompleteModel | None = None,
) -> CompleteModel:
    """Build, fit, save and record one member of the pool; a resumed job fits none twice."""
    measured = plan.measured[name][0]
    kept = pool.job.folder / "models" / name
    trained = pool.job.resumed and kept.is_dir()
    taken = pool.members[name].training.run
    fits = _fits(pool, name) and not trained
    model = load_model(kept) if trained else _load(pool, name)
    pool.say(
        f"[bold]{name}[/]: {cost(measured.macs, 'macs')} at {measured.input}, "
        f"{cost(measured.params, 'params')}, {measured.layers} layers"
    )
    if taken is not None:
        pool.say(f"  trained in {taken}")
    data = pool.feed(model)
    pool.describe_cut(name, data)
    phases = fits_for(pool, model, fits=fits, unregularised=unregularised, teacher=teacher)
    if fits:
        fit_member(pool, model, phases, data)
    if trained:
        pool.say(f"  trained before this job was interrupted, taken from {kept}")
    else:
        save_model(model, kept)
        if fits and not any(callback.keep for callback in pool.settings.callbacks.values()):
            drop_checkpoints(pool.job.folder / "checkpoints" / name)
    record(pool, model, phases[-1].module, data, measured)
    return model


def _load(pool: TrainingPool, name: str) -> CompleteModel:
    """The member ``name`` as it was trained in another job, or as its settings say."""
    run = pool.members[name].training.run or pool.settings.run
    if run is None:
        return pool.build(name, pool.seed_of(name))
    model = load_model(_trained(run, name))
    if list(model.classes) != list(pool.source.classes):
        raise CascadeError(
            f"run={run}: {name} has the classes {', '.join(model.classes)}; data="
            f"{pool.settings.data.name} has {', '.join(pool.source.classes)}"
        )
    return model


def _trained(run: str, name: str) -> Path:
    return Path(run) / "models" / name


def _check_trained(settings: TrainConfig, members: Mapping[str, Member]) -> None:
    """Refuse a job whose models cannot be taken from the jobs that it names."""
    for name, member in members.items():
        own = member.training.run
        key, run = (f"models.members.{name}.training.run", own) if own else ("run", settings.run)
        if run is not None and not _trained(run, name).is_dir():
            raise CascadeError(f"{key}={run}: no model {_trained(run, name)}")


def _measure(model: CompleteModel) -> tuple[Measured, list[dict[str, float]]]:
    """What the whole model costs and, of a network with exits, what each exit has come to."""
    if not isinstance(model.network, ExitNetwork):
        return measure(model), []
    exits = measure_exits(model)
    return measure(model), [{"layers": at.layers, "macs": at.macs} for at in exits]


def _costs(measured: Measured) -> dict[str, float]:
    return {"macs": measured.macs, "params": measured.params, "layers": measured.layers}
