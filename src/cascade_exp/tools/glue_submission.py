"""Answers to GLUE's test sets in the form its server takes, by a cascade that a run has chosen.

    python -m cascade_exp.tools.glue_submission run=JOB task=sst2 [root=GLUE_FOLDER]
        [rule=max_improvement] [rival=deebert at=2] [output=FILE.zip]

``rule`` is one of the job's selection rules (default: that of ``operating_point.json``); ``rival``
and ``at`` (a speed-up) a row of its ``speed_ups.csv``. Without ``root`` the test set comes from the
hub. The server wants one zip of all tasks: an existing one keeps the files of other tasks.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_exp.atomic import replacing
from cascade_exp.cascade.rows import Logits
from cascade_exp.cascade.stages import Ints
from cascade_exp.data.examples import Examples
from cascade_exp.data.glue_tests import Asked, load_test, test_sets
from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel
from cascade_exp.recordings.exits import network_of
from cascade_exp.report.results.operating_point import OPERATING_POINT
from cascade_exp.runtime.chosen import ChosenCascade, chosen_at
from cascade_exp.tools.command import run_command


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        run: the folder of an evaluated job.
        task: the GLUE task that its models were trained for.
        root: the GLUE folder with the original TSV files; null: the hub.
        rule: the selection rule whose operating point answers; null: the one of
            ``operating_point.json``.
        rival: the method of ``speed_ups.csv`` that answers instead, at the speed-up ``at``.
        output: the zip to write, or to put the task's files into.
        batch_size: the most texts in a batch.
    """

    run: str = ""
    task: str = ""
    root: str | None = None
    rule: str | None = None
    rival: str | None = None
    at: float | None = None
    output: str = "submission.zip"
    batch_size: int = 32


def submit(options: Options) -> dict[str, Ints]:
    """Write the submission; returns by file the predictions int64 [N], indices of the classes.

    Raises:
        CascadeError: if the run, its cascade and models, the test set or an existing zip cannot be
            used.
    """
    sets = test_sets(options.task)
    chosen = _chosen(options)
    output = Path(options.output)
    kept = _files_in(output)
    tests = [(asked, *load_test(asked, options.root)) for asked in sets]
    models = {name: _model(weights, sets[0]) for name, weights in chosen.weights.items()}
    answers: dict[str, Ints] = {}
    for asked, numbers, examples in tests:
        logits = {
            name: _logits(model, chosen.weights[name], asked, examples, options.batch_size)
            for name, model in models.items()
        }
        predicted = chosen.run(logits).prediction
        answers[asked.submitted] = predicted
        rows = [f"{n}\t{asked.task.words[p]}" for n, p in zip(numbers, predicted, strict=True)]
        kept[asked.submitted] = "\n".join(["index\tprediction", *rows, ""]).encode()
    with replacing(output) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(kept.items()):
            file.writestr(name, content)
    return answers


def _chosen(options: Options) -> ChosenCascade:
    if not options.run:
        raise CascadeError("run: expected the folder of an evaluated job, run=outputs/…")
    run = Path(options.run)
    chosen = chosen_at(run, rule=options.rule, rival=options.rival, at=options.at)
    for name in dict.fromkeys(network_of(name) for name in chosen.order):
        if name not in chosen.weights:
            raise CascadeError(
                f"run={run}: the weights of {name} are not known; expected models that train.py "
                "has trained, no foreign recordings"
            )
    if chosen.learned:
        raise CascadeError(
            f"{run / 'results' / OPERATING_POINT}: metric=learned is scored by the regressions in "
            "there, which are not run on new examples; evaluate with another metric"
        )
    if chosen.combine is not None:
        raise CascadeError(
            f"run={run}: cascade=tiers: {'>'.join(chosen.stages)} has tiers of models; expected "
            "single models or the exits of one network"
        )
    return chosen


def _files_in(output: Path) -> dict[str, bytes]:
    if not output.exists():
        return {}
    try:
        with zipfile.ZipFile(output) as file:
            return {name: file.read(name) for name in file.namelist()}
    except zipfile.BadZipFile:
        raise CascadeError(f"output={output}: there, but no zip; it is left alone") from None


def _model(weights: Path, asked: Asked) -> CompleteModel:
    from cascade_exp.models.complete import load_model

    model = load_model(weights)
    if model.classes != asked.task.classes:
        raise CascadeError(
            f"{weights}: answers {', '.join(model.classes)}, and {asked.submitted} asks for "
            f"{', '.join(asked.task.classes)}; was it trained for this task?"
        )
    return model


def _logits(
    model: CompleteModel, weights: Path, asked: Asked, examples: Examples, batch_size: int
) -> Logits:
    """Float32 [N, K], or [N, exits, K] of a network with exits."""
    from cascade_exp.learning.feeding import saved_texts
    from cascade_exp.learning.fit import make_trainer, quiet_lightning
    from cascade_exp.learning.predicting import Predicting
    from cascade_exp.recordings.record import record
    from cascade_exp.schema.training import TrainerOptions

    data = saved_texts(model, examples, batch_size)
    settings = TrainerOptions("predicting", max_epochs=1, devices=1, precision="32-true")
    with quiet_lightning():
        trainer = make_trainer(settings, folder=weights)
        where = f"{model.name} on {asked.file}"
        return record(
            Predicting(model.network), data.loader("report"), examples.ids, trainer, where
        )


def main(arguments: Sequence[str]) -> int:
    """Write the submission that the arguments ask for; returns the exit status."""
    return run_command(arguments, Options, _write, __doc__, {"speed_up": "at"})


def _write(options: Options) -> None:
    for file, predicted in submit(options).items():
        print(f"{options.output}: {file}, {len(predicted):,} answers")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
