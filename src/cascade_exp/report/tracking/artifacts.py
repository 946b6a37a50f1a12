"""W&B Artifacts: recordings and operating points, so that runs record what they were made from.

A recordings folder has one name wherever it is met, made from what is in it, so the run that
trained its models and every run that evaluates them meet in W&B's lineage.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_exp.report.results.files import FRONTIER
from cascade_exp.report.results.operating_point import OPERATING_POINT
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from wandb import Artifact, Run

# Folders above this many bytes are logged by reference: their files stay where they are.
COPIED = 16 * 2**20


def log_recordings(run: Run, folder: Path) -> None:
    """Log the recordings that this run made."""
    artifact = recordings_artifact(folder)
    run.config["recordings_artifact"] = artifact.name
    run.log_artifact(artifact)


def use_recordings(run: Run, folder: Path) -> None:
    """Say that this run reads these recordings; offline, W&B takes it as a config entry only."""
    artifact = recordings_artifact(folder)
    run.config["recordings_artifact"] = artifact.name
    if not run.offline:
        run.use_artifact(artifact)


def log_operating_point(run: Run, results: Results, folder: Path) -> None:
    """Log ``operating_point.json`` and the Pareto front from a job's results ``folder``."""
    import wandb

    if results.chosen is None:
        return
    point = results.operating_points[results.chosen]
    artifact = wandb.Artifact(
        f"operating-point-{run.id}",
        type="operating-point",
        metadata={"rule": point.rule, "stages": ">".join(point.stages)},
    )
    for name in (OPERATING_POINT, FRONTIER):
        artifact.add_file(str(folder / name))
    run.log_artifact(artifact)


def recordings_artifact(folder: Path) -> Artifact:
    """The artifact of a recordings folder: its files, or references where they are large."""
    import wandb

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path: path.stat().st_size for path in files}
    artifact = wandb.Artifact(
        f"recordings-{content(folder, files)[:12]}",
        type="recordings",
        metadata={"folder": str(folder.resolve()), "bytes": sum(sizes.values())},
    )
    copied = sum(sizes.values()) <= COPIED
    for path in files:
        name = str(path.relative_to(folder))
        if copied:
            artifact.add_file(str(path), name=name, policy="immutable")
        else:
            artifact.add_reference(path.resolve().as_uri(), name=name, checksum=False)
    return artifact


def content(folder: Path, files: list[Path]) -> str:
    """sha256 over names and contents; of a recording made here, the digest beside it is taken.

    Large files of other origin are identified by size and time, as reading them all would take
    longer than evaluating them.
    """
    parts = []
    for path in files:
        if path.suffix == ".json":
            continue  # says when it was recorded, not what
        parts.append([str(path.relative_to(folder)), _digest(path)])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        return str(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        stat = path.stat()
    if stat.st_size > COPIED:
        return f"{stat.st_size} bytes of {stat.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()
