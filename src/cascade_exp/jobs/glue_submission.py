"""Answers to GLUE's test sets in the form its server takes, by a run's chosen operating point.

    python -m cascade_exp.jobs.glue_submission run=JOB task=sst2 root=GLUE_FOLDER [output=FILE.zip]

The server wants one zip of all tasks: one that is there already keeps the files of other tasks.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING, OmegaConf

from cascade_exp.atomic import replacing
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pool import LogitsPool
from cascade_exp.cascade.stages import Ints, table_of
from cascade_exp.data.examples import Examples
from cascade_exp.data.glue_tests import Asked, load_test, test_sets
from cascade_exp.errors import CascadeError
from cascade_exp.models.members import read_keys


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        run: a job folder with ``results/operating_point.json``.
        task: the GLUE task that its models were trained for.
        root: the GLUE folder with the original TSV files.
        output: the zip to write, or to put the task's files into.
        batch_size: the most texts in a batch.
    """

    run: str = MISSING
    task: str = MISSING
    root: str = MISSING
    output: str = "submission.zip"
    batch_size: int = 32


def submit(options: Options) -> dict[str, Ints]:
    """Write the submission; returns by file the predictions int64 [N], indices of the classes.

    Raises:
        CascadeError: if the run, its models, the test set or an existing zip cannot be used.
    """
    sets = test_sets(options.task)
    point = _operating_point(Path(options.run))
    output = Path(options.output)
    kept = _files_in(output)
    answers: dict[str, Ints] = {}
    for asked in sets:
        numbers, examples = load_test(asked, options.root)
        predicted = _predict(point, asked, examples, options.batch_size)
        answers[asked.submitted] = predicted
        rows = [f"{n}\t{asked.task.words[p]}" for n, p in zip(numbers, predicted, strict=True)]
        kept[asked.submitted] = "\n".join(["index\tprediction", *rows, ""]).encode()
    with replacing(output) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(kept.items()):
            file.writestr(name, content)
    return answers


def _operating_point(run: Path) -> dict[str, Any]:
    path = run / "results" / "operating_point.json"
    if not path.is_file():
        raise CascadeError(f"run={run}: no {path}; expected the folder of an evaluated job")
    point: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not point["stages"]:
        raise CascadeError(f"{path}: no rule of this job could be met, so no cascade was chosen")
    unknown = [stage for stage in point["stages"] if point["models"].get(stage) is None]
    if unknown:
        raise CascadeError(
            f"{path}: the weights of {unknown[0]} are not known; expected single models that "
            "train.py has trained (no tiers, exits or foreign recordings)"
        )
    return point


def _files_in(output: Path) -> dict[str, bytes]:
    if not output.exists():
        return {}
    try:
        with zipfile.ZipFile(output) as file:
            return {name: file.read(name) for name in file.namelist()}
    except zipfile.BadZipFile:
        raise CascadeError(f"output={output}: there, but no zip; it is left alone") from None


def _predict(point: dict[str, Any], asked: Asked, examples: Examples, batch_size: int) -> Ints:
    """What the cascade answers: int64 [N], indices of the task's classes."""
    logits = {
        stage: _logits(stage, point["models"][stage]["weights"], asked, examples, batch_size)
        for stage in point["stages"]
    }
    pool = LogitsPool.build(
        logits,
        {stage: float(place + 1) for place, stage in enumerate(point["stages"])},
        examples.labels,
        metric=point["metric"],
        objective=make_objective("accuracy"),
        ensemble=point["ensemble"],
        temperatures=point["temperatures"],
        k=point["k"] or 1,
    )
    table = table_of(pool, tuple(range(len(point["stages"]))))
    return table.run([float(t) for t in point["thresholds"]], point["compare"]).prediction


def _logits(
    name: str, weights: str, asked: Asked, examples: Examples, batch_size: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    from cascade_exp.learning.feeding import saved_texts
    from cascade_exp.learning.fit import TrainerSettings, make_trainer, quiet_lightning
    from cascade_exp.learning.predicting import Predicting
    from cascade_exp.models.complete import load_model
    from cascade_exp.recordings.record import record

    model = load_model(weights)
    if model.classes != asked.task.classes:
        raise CascadeError(
            f"{weights}: answers {', '.join(model.classes)}, and {asked.submitted} asks for "
            f"{', '.join(asked.task.classes)}; was it trained for this task?"
        )
    data = saved_texts(model, examples, batch_size)
    settings = TrainerSettings(max_epochs=1, devices=1, precision="32-true")
    with quiet_lightning():
        trainer = make_trainer(settings, folder=Path(weights))
        where = f"{name} on {asked.file}"
        return record(
            Predicting(model.network), data.loader("report"), examples.ids, trainer, where
        )


def main(arguments: Sequence[str]) -> int:
    """Write the submission that the arguments ask for; returns the exit status."""
    try:
        options = read_keys("", OmegaConf.from_cli(list(arguments)), Options)  # type: ignore[arg-type]
        for file, predicted in submit(options).items():
            print(f"{options.output}: {file}, {len(predicted):,} answers")
    except CascadeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
