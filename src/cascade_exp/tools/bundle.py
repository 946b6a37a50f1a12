"""Put the cascade that a job has chosen into one folder that runs without the job.

    python -m cascade_exp.bundle output=FOLDER [run=JOB] [rule=max_improvement]

The folder (``runtime.bundle``) can be copied to another machine: ``Cascade.load(FOLDER)`` and
``python -m cascade_exp.predict cascade=FOLDER`` run it there.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cascade_exp.atomic import replacing_folder, sha256_of
from cascade_exp.errors import CascadeError
from cascade_exp.jobs.commands import run_command
from cascade_exp.recordings.exits import network_of
from cascade_exp.report.results.files import json_text, read_results
from cascade_exp.report.results.operating_point import (
    OPERATING_POINT,
    VERSION,
    Deployment,
    expected_of,
    read_operating_point,
)
from cascade_exp.runtime.bundle import CASCADE, FORMAT, MANIFEST, MODELS, SUMS, Manifest
from cascade_exp.runtime.chosen import ChosenCascade, chosen_by_rule
from cascade_exp.tools.training_columns import training_columns

LIBRARIES = ("cascade-exp", "torch", "timm", "transformers", "tokenizers", "safetensors", "numpy")
DATA_ENDINGS = (".json", ".safetensors", ".txt", ".model", ".jinja")
"""Of files that hold weights, vocabularies or templates of text; nothing that runs or unpickles."""


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        output: the folder to write; it must not hold anything yet.
        run: the folder of an evaluated job; null: the newest under ``outputs`` whose models are
            known.
        rule: the selection rule whose operating point runs; null: the one of
            ``operating_point.json``.
    """

    output: str = ""
    run: str | None = None
    rule: str | None = None


def write_bundle(run: Path, output: Path, rule: str | None = None) -> Deployment:
    """Write the bundle ``output``, whole or not at all; returns its cascade.

    Raises:
        CascadeError: if the job, the rule or a model cannot be used, a model needs code of its own,
            or ``output`` holds something.
    """
    from cascade_exp.models.complete import load_model

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CascadeError(f"output={output}: is already there; remove it, or name another folder")
    chosen = chosen_by_rule(run, rule)
    point = _point(run, chosen, rule)
    with replacing_folder(output) as folder:
        for name in point["models"]:
            if name not in chosen.weights:
                raise CascadeError(
                    f"run={run}: the weights of {name} are not known, as its outputs were recorded "
                    "elsewhere; expected models that train.py has trained"
                )
            load_model(chosen.weights[name])  # refuses what is damaged, or runs code of its own
            _copy_model(chosen.weights[name], folder / MODELS / name)
        manifest = Manifest(FORMAT, training_columns(run), _versions())
        (folder / MANIFEST).write_text(json_text(asdict(manifest)), encoding="utf-8")
        (folder / CASCADE).write_text(json_text(point), encoding="utf-8")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return point


def newest_job(outputs: Path = Path("outputs")) -> Path:
    """The newest job under ``outputs`` that has chosen a cascade of models with known weights.

    Raises:
        CascadeError: if there is none.
    """
    found = [
        f for depth in ("*", "*/*") for f in outputs.glob(f"{depth}/results/{OPERATING_POINT}")
    ]
    for file in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            point = read_operating_point(file.parent)
        except CascadeError:
            continue  # of another version
        if point["rule"] is not None and None not in point["models"].values():
            return file.parent.parent
    raise CascadeError(
        f"no evaluated job under {outputs} that has chosen a cascade of its own models; train one "
        "with `uv run train.py`, or name a job: run=path/to/job"
    )


def _point(run: Path, chosen: ChosenCascade, rule: str | None) -> Deployment:
    """The operating point of ``rule``, with paths inside of the bundle."""
    written = read_operating_point(run / "results")
    if written["rule"] is None:  # then rule is None too, and chosen_by_rule has refused it
        raise CascadeError(f"run={run}: no rule of this job could be met")
    point: dict[str, Any] = dict(written)
    if rule not in (None, written["rule"]):
        results = read_results(run / "results")
        its = results.operating_points[str(rule)]
        assert its.selection is not None and its.report is not None  # it could be met
        point |= {
            "rule": rule,
            "stages": chosen.stages,
            "thresholds": chosen.thresholds,
            "stage_costs": chosen.stage_costs,
            "temperatures": dict(chosen.temperatures),
            "learned": (results.learned if its.learned is None else its.learned) or None,
            "expected": {
                "selection": expected_of("selection", its.selection, results),
                "report": expected_of("report", its.report, results),
            },
        }
    point["schema_version"] = VERSION
    point["chosen_on"] = {"split": written["chosen_on"]["split"], "recordings": run.name}
    networks = dict.fromkeys(network_of(name) for name in chosen.order)
    known = {name: it for name, it in written["models"].items() if it is not None}
    point["models"] = {
        name: {**known.get(name, {}), "weights": f"{MODELS}/{name}"} for name in networks
    }
    return point  # type: ignore[return-value]  # checked when it is read


def _copy_model(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix not in DATA_ENDINGS:
            raise CascadeError(
                f"{path}: a bundle holds no such file; expected {', '.join(DATA_ENDINGS)}"
            )
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def bundle(options: Options) -> None:
    """Write the bundle that the options ask for, and print what is in it."""
    if not options.output:
        raise CascadeError("output: expected the folder to write, output=bundle/")
    run = newest_job() if options.run is None else Path(options.run)
    point = write_bundle(run, Path(options.output), options.rule)
    print(f"{options.output}: {' > '.join(point['stages'])}, chosen by {point['rule']} in {run}")


def main(arguments: Sequence[str]) -> int:
    """Write the bundle that the arguments ask for; returns the exit status."""
    return run_command(arguments, Options, __doc__ or "", bundle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
