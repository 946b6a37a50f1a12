"""What a job of a multirun costs beyond its evaluation, and what of it dominates.

    uv run benchmarks/multirun.py [RECORDINGS]

The 24 jobs are 4 metrics × 3 ensembles × 2 calibrations over one recordings folder (by default the
example ResNets), all in one process (Hydra's basic launcher). Per setting: seconds from the
process's start to its first job's, seconds per job (every job's own end minus start, and the gaps
between), and the slowest kinds of work of one job in a profiled process. The last column divides by
the evaluation alone (no analyses, no pictures, no logger).
"""

from __future__ import annotations

import cProfile
import io
import json
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEFAULT = ROOT / "examples/recordings/cifar10_resnets"
GRID = (
    "metric=max_softmax,entropy,softmax_margin,logits_margin",
    "ensemble=none,comparison,mean_logits",
    "calibration=none,temperature",
)
SETTINGS = {
    "evaluation alone": ("logger=none", "analyses=false", "plots=false"),
    "+ analyses": ("logger=none", "plots=false"),
    "+ W&B, offline": ("plots=false",),
    "+ pictures and page (default)": (),
}
KINDS = ("matplotlib", "wandb", "hydra", "omegaconf", "cascade_exp/cascade", "cascade_exp/report")


def multirun(recordings: Path, folder: Path, settings: tuple[str, ...]) -> dict[str, float]:
    """Seconds: until the first job, per job on average, and of all."""
    start = time.time()
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "evaluate.py"),
            "-m",
            f"recordings={recordings.resolve()}",
            *GRID,
            *settings,
            f"hydra.sweep.dir={folder}",
        ],
        cwd=folder.parent,
        env={"PATH": "/usr/bin:/bin", "WANDB_MODE": "offline", "HOME": str(folder.parent)},
        capture_output=True,
        check=True,
    )
    end = time.time()
    jobs = sorted(folder.glob("*/job.json"), key=lambda path: int(path.parent.name))
    assert len(jobs) == 24, f"expected 24 jobs, found {len(jobs)}"
    ends = [path.stat().st_mtime for path in jobs]
    first = json.loads(jobs[0].read_text())["seconds"]
    began = ends[0] - first
    return {
        "start": began - start,
        "first": first,
        "job": (ends[-1] - ends[0]) / 23,
        "end": end - ends[-1],
        "all": end - start,
    }


def profiled(recordings: Path, folder: Path) -> list[tuple[str, float]]:
    """Share of a warm default job's time by kind of work, the largest first."""
    sys.path.insert(0, str(ROOT))
    from tests.jobs.running import run

    arguments = (f"recordings={recordings.resolve()}", "logger.wandb.mode=offline")
    run("evaluate", folder / "warm", *arguments)
    profile = cProfile.Profile()
    profile.enable()
    run("evaluate", folder / "profiled", *arguments, "metric=entropy")
    profile.disable()
    stats = pstats.Stats(profile, stream=io.StringIO())
    own: dict[str, float] = dict.fromkeys([*KINDS, "other"], 0.0)
    for (file, _, _), (_, _, seconds, *_) in stats.stats.items():  # type: ignore[attr-defined]
        own[next((kind for kind in KINDS if kind in file), "other")] += seconds
    whole = sum(own.values())
    return sorted(((k, s / whole) for k, s in own.items()), key=lambda pair: -pair[1])


def main() -> None:
    """Measure and print."""
    recordings = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    with tempfile.TemporaryDirectory() as name:
        print(f"{'':32}{'start':>7}{'first':>7}{'per job':>9}{'end':>6}{'all':>7}{'ratio':>7}")
        alone = None
        for place, (title, settings) in enumerate(SETTINGS.items()):
            took = multirun(recordings, Path(name) / str(place), settings)
            alone = alone or took["job"]
            print(
                f"{title:32}{took['start']:7.2f}{took['first']:7.2f}{took['job']:9.2f}"
                f"{took['end']:6.2f}{took['all']:7.1f}{took['job'] / alone:7.2f}",
                flush=True,
            )
        print("\nOwn time of one warm default job, by kind of code:")
        for kind, share in profiled(recordings, Path(name) / "profile"):
            print(f"  {kind:22}{100 * share:5.1f} %")


if __name__ == "__main__":
    main()
