"""Which recordings an evaluation reads: those it names, or those of the newest training run."""

from __future__ import annotations

from pathlib import Path

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.about import read_about
from cascade_exp.report.results.status import check_same_job
from cascade_exp.schema.evaluating import EvaluateConfig


def find_recordings(settings: EvaluateConfig) -> Path:
    """The recordings folder that the settings name, or that of the newest complete training run.

    Raises:
        CascadeError: if there is none, or they are of another job.
    """
    if settings.recordings is not None:
        return Path(settings.recordings)
    if settings.run is not None:
        folder = Path(settings.run) / "recordings"
        if not (folder / "models.csv").is_file():
            raise CascadeError(f"run={settings.run}: no complete recordings in {folder}")
        return _of_its_job(folder)
    output = Path(settings.paths.output_dir)
    # models.csv is written last; a multirun's jobs are one folder deeper
    complete = [p for depth in ("*", "*/*") for p in output.glob(f"{depth}/recordings/models.csv")]
    if not complete:
        raise CascadeError(
            f"no training run with complete recordings under {output}; train one with "
            "`uv run train.py`, or name a folder: recordings=path/to/outputs"
        )
    return _of_its_job(max(complete, key=lambda path: path.stat().st_mtime_ns).parent)


def _of_its_job(folder: Path) -> Path:
    """The recordings ``folder`` of a training job, once it is known that they are that job's.

    Raises:
        CascadeError: if a split was recorded by another job than the one in the folder above.
    """
    for path in sorted(folder.glob("*/labels.json")):
        check_same_job(folder.parent, read_about(path).get("job"), path)
    return folder
