"""``execute=true``: the chosen cascade run over the report split, measured beside predicted.

The seconds of the cascade are measured beside those of its last stage alone and of all stages on
every example; the ideal is computed from the latter (``report.results.executed``).
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cascade_exp.cascade.stages import Ints
from cascade_exp.data.examples import Examples
from cascade_exp.errors import CascadeError
from cascade_exp.report.results.executed import Executed, ExecutedStage
from cascade_exp.report.results.objective import objective_of
from cascade_exp.report.results.per_example import PerExample
from cascade_exp.report.results.schema import OperatingPoint, Results
from cascade_exp.runtime.cascade import Cascade
from cascade_exp.runtime.loading import device_of, load_stages
from cascade_exp.runtime.prediction import NOTHING, Prediction
from cascade_exp.runtime.stages.tier import TierStage

if TYPE_CHECKING:
    from rich.console import Console

    from cascade_exp.runtime.module import Executions
    from cascade_exp.schema.evaluating import Execution


def examples_of(recordings: Path, split: str) -> Examples:
    """The raw examples of a recorded split, loaded as the training job of the recordings did.

    Raises:
        CascadeError: if the recordings are of no training job, its data has no such split, or the
            data have changed since.
    """
    from omegaconf import OmegaConf

    from cascade_exp.data import load_splits

    job = recordings.parent
    config = job / "config.yaml"
    stored: Any = OmegaConf.to_container(OmegaConf.load(config)) if config.is_file() else {}
    if not isinstance(stored.get("data"), dict):
        raise CascadeError(
            f"execute=true: {recordings} are no recordings of a training job, so that nothing says "
            "what the models were fed; expected run=JOB, the folder of train.py's job"
        )
    _, splits = load_splits(stored["data"])
    if split not in splits.recorded:
        raise CascadeError(
            f"execute=true: splits.report={split}: the data of {job} have "
            f"{', '.join(splits.recorded)}"
        )
    examples = splits.named(split)
    check_unchanged(examples, recordings / split)
    return examples


def check_unchanged(examples: Examples, recorded: Path) -> None:
    """Refuse ``examples`` whose ids or labels are not those in the folder ``recorded``.

    Raises:
        CascadeError: naming the folder.
    """
    for name, found in (("ids", examples.ids), ("labels", examples.labels)):
        path = recorded / f"{name}.npy"
        if path.is_file() and not np.array_equal(np.load(path, allow_pickle=False), found):
            raise CascadeError(
                f"execute=true: {path} has other {name} than the data have now; they have changed "
                "since they were recorded"
            )


def execute(
    job: Path,
    results: Results,
    predicted: PerExample | None,
    examples: Examples,
    wanted: Execution,
    console: Console,
) -> Executed:
    """Run the cascade that the evaluated ``job`` has chosen on ``examples``, and time it.

    Args:
        job: its folder, with ``results/``. predicted: what the evaluation says of each example.

    Raises:
        CascadeError: if no rule could be met, or a model's weights are not known.
    """
    point = results.operating_points[results.chosen] if results.chosen is not None else None
    if point is None or point.report is None:
        raise CascadeError("execute=true: no rule could be met, so there is no cascade to run")
    cascade = Cascade.load(job)
    console.print(
        f"Running {'>'.join(point.stages)} on {len(examples):,} examples of the report split",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    found = _run(job, examples, wanted)
    timed = examples.take(np.arange(min(len(examples), wanted.timed or len(examples))))
    return _executed(
        point, results, predicted, examples, found, time_ways(cascade, timed, wanted), wanted
    )


def _run(job: Path, examples: Examples, wanted: Execution) -> Executions:
    """The answers to all examples, by Lightning."""
    from cascade_exp.learning.fit import make_trainer, quiet_lightning
    from cascade_exp.runtime.module import CascadeModule, gathered, raw_loader
    from cascade_exp.schema.training import TrainerOptions

    with TemporaryDirectory() as name:
        folder = Path(name)
        options = {"strategy": "ddp_spawn"} if wanted.devices > 1 else {}
        settings = TrainerOptions(
            "execution",
            max_epochs=1,
            accelerator="auto",
            devices=wanted.devices,
            precision="32-true",
            options=options,
        )
        trainer = make_trainer(settings, folder=folder)
        module = CascadeModule(job, wanted.batch_size, folder)
        with quiet_lightning():
            trainer.predict(
                module,
                dataloaders=raw_loader(examples, wanted.batch_size),
                return_predictions=False,
            )
        return gathered(folder, examples.ids)


@dataclass
class Way:
    """One way to answer the timed examples, with its seconds: of each round, and of its stages."""

    cascade: Cascade
    seconds: list[float] = field(default_factory=list)
    of_stages: list[list[float]] = field(default_factory=list)
    found: Prediction | None = None

    def run(self, inputs: list[object], batch_size: int) -> None:
        """One round."""
        started = time.perf_counter()
        self.found = self.cascade.predict(inputs, batch_size=batch_size)
        self.seconds.append(time.perf_counter() - started)
        self.of_stages.append([run.seconds for run in self.found.runs])

    def per_example(self) -> float:
        """Median seconds of a round, per example."""
        assert self.found is not None
        return statistics.median(self.seconds) / len(self.found)

    def of_stage(self, stage: int) -> float:
        """Median seconds of a stage in a round, whole."""
        return statistics.median(round[stage] for round in self.of_stages)


@dataclass(frozen=True)
class Ways:
    """The cascade, its last stage alone, and all stages on every example."""

    cascade: Way
    last: Way
    all: Way

    def stages(self) -> list[ExecutedStage]:
        """The stages on the timed examples."""
        found = self.cascade.found
        assert found is not None
        size, made = len(found), []
        for at, run in enumerate(found.runs):
            taken = self.cascade.of_stage(at) / run.examples if run.examples else None
            on_all = self.all.of_stage(at) / size
            made.append(
                ExecutedStage(run.name, run.examples / size, run.answered / size, taken, on_all)
            )
        return made

    def ideal(self) -> float:
        """Σ_i (share of the timed examples that reached stage i) × (its seconds on all of them)."""
        return sum(stage.reached * stage.seconds_on_all for stage in self.stages())


def time_ways(cascade: Cascade, examples: Examples, wanted: Execution) -> Ways:
    """The three ways, timed in turns."""
    from cascade_exp.runtime.module import raw_input

    inputs = [raw_input(it) for it in examples.inputs]
    ways = Ways(Way(cascade), Way(last_alone(cascade)), Way(without_exits(cascade)))
    each = (ways.cascade, ways.last, ways.all)
    for way in each:  # the first batch of a network is slower than all others
        way.cascade.predict(inputs[: wanted.batch_size], batch_size=wanted.batch_size)
    for _ in range(wanted.repeats):
        for way in each:
            way.run(inputs, wanted.batch_size)
    return ways


def last_alone(cascade: Cascade) -> Cascade:
    """The last stage of ``cascade`` as a cascade of one."""
    chosen, last = cascade.chosen, len(cascade.stages) - 1
    alone = replace(
        chosen,
        stages=chosen.stages[last:],
        thresholds=[],
        stage_costs=chosen.stage_costs[last:],
        learned={},
        exit_rates=(),
    )
    return _again(cascade, alone, slice(last, None))


def without_exits(cascade: Cascade) -> Cascade:
    """``cascade`` with thresholds that nothing reaches: every stage runs on every example."""
    chosen = replace(cascade.chosen, thresholds=[np.inf] * (len(cascade.stages) - 1))
    everything = _again(cascade, chosen, slice(None))
    for stage in everything.stages:
        if isinstance(stage, TierStage):
            stage.stops = False  # no vote is needed to know that nothing leaves
    return everything


def _again(cascade: Cascade, chosen: Any, of: slice) -> Cascade:
    """A cascade of the loaded stages, loaded again where a stage knows of its neighbours."""
    separate = chosen.combine is None and "@" not in chosen.stages[-1]
    stages = cascade.stages[of] if separate else load_stages(chosen, device=None, given={})
    return Cascade(chosen, stages)


def _executed(
    point: OperatingPoint,
    results: Results,
    predicted: PerExample | None,
    examples: Examples,
    found: Executions,
    ways: Ways,
    wanted: Execution,
) -> Executed:
    """What was found, put together."""
    assert results.chosen is not None and point.report is not None
    cascade, timings = ways.cascade.cascade, ways.stages()
    answered = found.exit != NOTHING
    objective = objective_of(results)
    scored = None
    if not objective.needs_rank:
        classes = max(len(cascade.classes), int(examples.labels.max()) + 1)
        scored = objective.statistics(found.answer, None, examples.labels, classes)
    left = np.bincount(found.exit[answered], minlength=len(point.stages))
    return Executed(
        rule=results.chosen,
        stages=list(point.stages),
        examples=len(examples),
        aside=int((~answered).sum()),
        score=None if scored is None else float(objective.score(scored.sum(axis=0), len(examples))),
        cost=float(found.cost.mean()),
        exit_rates=(left / max(int(answered.sum()), 1)).tolist(),
        predicted_score=point.report.score,
        predicted_cost=point.report.cost,
        predicted_exit_rates=list(point.report.exit_rates),
        differing=_differing(predicted, examples, found, scored),
        timed=len(ways.cascade.found or ()),
        batch_size=wanted.batch_size,
        repeats=wanted.repeats,
        device=str(device_of(None)),
        threads=torch.get_num_threads(),
        seconds=ways.cascade.per_example(),
        seconds_last=ways.last.per_example(),
        seconds_all=ways.all.per_example(),
        seconds_ideal=ways.ideal(),
        timings=timings,
    )


def _differing(
    predicted: PerExample | None, examples: Examples, found: Executions, scored: Ints | None
) -> int | None:
    """Examples that paid another cost, or were answered otherwise, than the evaluation says."""
    if predicted is None or predicted.ids is None or scored is None:
        return None
    if not np.array_equal(predicted.ids, examples.ids):
        return None
    otherwise = ~np.isclose(predicted.cost, found.cost, rtol=1e-9, atol=0.0)
    otherwise |= (predicted.statistics != scored).any(axis=1)
    return int(otherwise.sum())
