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
from typing import TYPE_CHECKING

from cascade_exp.atomic import replacing
from cascade_exp.cascade.stages import Ints
from cascade_exp.data.glue_tests import Asked, load_test, test_sets
from cascade_exp.errors import CascadeError
from cascade_exp.jobs.commands import run_command
from cascade_exp.runtime.chosen import chosen_at

if TYPE_CHECKING:
    from cascade_exp.runtime.cascade import Cascade


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
    if not options.run:
        raise CascadeError("run: expected the folder of an evaluated job, run=outputs/…")
    run = Path(options.run)
    chosen_at(run, rule=options.rule, rival=options.rival, at=options.at)  # before anything is read
    output = Path(options.output)
    kept = _files_in(output)
    tests = [(asked, *load_test(asked, options.root)) for asked in sets]
    cascade = _cascade(options, sets[0])
    answers: dict[str, Ints] = {}
    for asked, numbers, examples in tests:
        found = cascade.predict(examples.inputs, batch_size=options.batch_size)
        for number, reason in zip(numbers, found.reason, strict=True):
            if reason is not None:
                raise CascadeError(f"{asked.file}: row {number} cannot be answered: {reason}")
        predicted = found.answer
        answers[asked.submitted] = predicted
        rows = [f"{n}\t{asked.task.words[p]}" for n, p in zip(numbers, predicted, strict=True)]
        kept[asked.submitted] = "\n".join(["index\tprediction", *rows, ""]).encode()
    with replacing(output) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(kept.items()):
            file.writestr(name, content)
    return answers


def _files_in(output: Path) -> dict[str, bytes]:
    if not output.exists():
        return {}
    try:
        with zipfile.ZipFile(output) as file:
            return {name: file.read(name) for name in file.namelist()}
    except zipfile.BadZipFile:
        raise CascadeError(f"output={output}: there, but no zip; it is left alone") from None


def _cascade(options: Options, asked: Asked) -> Cascade:
    from cascade_exp.runtime.cascade import Cascade

    cascade = Cascade.load(options.run, rule=options.rule, rival=options.rival, at=options.at)
    if cascade.classes != asked.task.classes:
        raise CascadeError(
            f"run={options.run}: answers {', '.join(cascade.classes)}, and {asked.submitted} asks "
            f"for {', '.join(asked.task.classes)}; was it trained for this task?"
        )
    return cascade


def main(arguments: Sequence[str]) -> int:
    """Write the submission that the arguments ask for; returns the exit status."""
    return run_command(arguments, Options, str(__doc__), _write, renamed={"speed_up": "at"})


def _write(options: Options) -> None:
    for file, predicted in submit(options).items():
        print(f"{options.output}: {file}, {len(predicted):,} answers")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
