"""Whole commands from start to end: ``evaluate.py`` as a user runs it, in processes of its own.

    uv run python benchmarks/command.py [runs=5] [works=stages,pictures,growth,job,ensemble,scores]
        [root=.] [folder=/tmp/command_benchmark] [models=27] [examples=50000]
        [few=5] [small=50000] [large=1000000] [job=5000] [classes=10] [wide=1000]

Synthetic recordings, seeded, float32, two splits of the same size; written to ``folder`` and kept
there for the next call. Each number is the median of ``runs`` fresh processes after one that is
not counted (it compiles kernels and bytecode); commands that are divided by each other take turns.
Wall seconds are what a user waits; CPU seconds are what to read on a busy machine. ``root`` is the
checkout (with its ``.venv``) whose ``evaluate.py`` is measured, so that one script measures two
commits.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthetic import write_recordings

DEFAULTS = {
    "runs": "5",
    "works": "stages,pictures,growth,job,ensemble,scores",
    "root": str(Path(__file__).parents[1]),
    "folder": str(Path(tempfile.gettempdir()) / "command_benchmark"),
    "models": "27",
    "examples": "50000",
    "few": "5",
    "small": "50000",
    "large": "1000000",
    "job": "5000",
    "classes": "10",
    "wide": "1000",
}
BARE = ["plots=false", "logger=none"]


@dataclass(frozen=True)
class Taken:
    """Median wall and CPU seconds, and the most resident memory in MB, of several runs."""

    wall: float
    cpu: float
    memory: float

    @classmethod
    def of(cls, runs: Sequence[Taken]) -> Taken:
        """The median times and the largest memory."""
        return cls(
            statistics.median(run.wall for run in runs),
            statistics.median(run.cpu for run in runs),
            max(run.memory for run in runs),
        )


def interpreter(root: Path) -> str:
    """The Python of the checkout ``root``: another one would import another checkout's package."""
    python = root / ".venv" / "bin" / "python"
    if not python.is_file():
        sys.exit(f"root={root}: no {python}; run `uv sync` there first")
    return str(python)


def once(root: Path, arguments: Sequence[str]) -> Taken:
    """Run Python on ``arguments`` in ``root``; its children count as its own."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [interpreter(root), *arguments],
            cwd=root,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}:\n{said.read()}")
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


class Benchmark:
    """Recordings, commands over them, and lines printed about both."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.root, self.folder = Path(given["root"]).resolve(), Path(given["folder"])
        self.runs = int(given["runs"])

    def number(self, key: str) -> int:
        """An option that is a number."""
        return int(self.given[key])

    def recordings(self, models: int, examples: int, classes: int) -> str:
        """The override that names recordings of this size, written if they are not there."""
        folder = self.folder / f"{models}x{examples}x{classes}"
        return f"recordings={write_recordings(folder, models, (examples, classes))}"

    def evaluate(self, commands: dict[str, Sequence[str]], warm: bool = True) -> list[Taken]:
        """Run ``evaluate.py`` with each command's overrides in turns, and print what each took."""
        taken: dict[str, list[Taken]] = {name: [] for name in commands}
        for turn in range(self.runs + warm):
            for name, overrides in commands.items():
                with tempfile.TemporaryDirectory() as outputs:
                    where = f"hydra.run.dir={outputs}/job"
                    run = once(self.root, ["evaluate.py", *overrides, where])
                if turn >= warm:
                    taken[name].append(run)
        medians = [Taken.of(runs) for runs in taken.values()]
        for name, median in zip(commands, medians, strict=True):
            row(name, median)
        return medians


def row(name: str, taken: Taken) -> None:
    """Print one line of times."""
    print(
        f"  {name:58s} {taken.wall:8.2f} s {taken.cpu:8.2f} s CPU {taken.memory:7,.0f} MB",
        flush=True,
    )


def difference(name: str, more: Taken, less: Taken) -> None:
    """Print what one command takes beyond another."""
    print(f"  {name:58s} {more.wall - less.wall:8.2f} s {more.cpu - less.cpu:8.2f} s CPU")


def stages(bench: Benchmark) -> None:
    """Three stages minus one."""
    models, examples = bench.number("models"), bench.number("examples")
    where = bench.recordings(models, examples, bench.number("classes"))
    print(f"\n{models} models x {examples:,} examples, no pictures, no W&B")
    three, one = bench.evaluate(
        {
            "three stages": [where, *BARE, "search.max_stages=3"],
            "single models": [where, *BARE, "search.max_stages=1"],
        }
    )
    difference("three stages minus single models (aim 2 s)", three, one)


def pictures(bench: Benchmark) -> None:
    """Pictures and page."""
    models, examples = bench.number("models"), bench.number("examples")
    where = bench.recordings(models, examples, bench.number("classes"))
    print(f"\n{models} models x {examples:,} examples, three stages, pictures and page")
    drawn, bare = bench.evaluate(
        {
            "with pictures and page": [where, "logger=none", "search.max_stages=3"],
            "without": [where, *BARE, "search.max_stages=3"],
        }
    )
    difference("pictures and page (aim 3 s)", drawn, bare)


def growth(bench: Benchmark) -> None:
    """Few models on many examples, and how time grows with their number."""
    few, small, large = bench.number("few"), bench.number("small"), bench.number("large")
    classes = bench.number("classes")
    print(f"\n{few} models, three stages, no pictures, no W&B (aim 20 s, 3 GB, 25 x for 20 x)")
    less, more = bench.evaluate(
        {
            f"{size:,} examples": [
                bench.recordings(few, size, classes), *BARE, "search.max_stages=3",
            ]
            for size in (small, large)
        }
    )  # fmt: skip
    print(
        f"  {large / small:.3g} x the examples take {more.wall / less.wall:.3g} x the time, "
        f"{more.cpu / less.cpu:.3g} x the CPU time"
    )


def job(bench: Benchmark) -> None:
    """A small job with everything that it does by default."""
    examples = bench.number("job")
    where = bench.recordings(4, examples, bench.number("classes"))
    print(f"\n4 models x {examples:,} examples, everything as by default (aim 4 s)")
    bench.evaluate(
        {
            "with pictures, page and W&B (offline)": [where, "logger.wandb.mode=offline"],
            "without": [where, *BARE],
        }
    )


def ensemble(bench: Benchmark) -> None:
    """The search of mean-ensembled pairs and triples, through its own benchmark."""
    models, examples, wide = (bench.number(key) for key in ("models", "examples", "wide"))
    print(f"\nmean_logits, {models} x {examples:,} x {wide:,}, pairs and triples (aim 60 s, 2 GB)")
    sized = [f"models={models}", f"examples={examples}", f"classes={wide}"]
    script(bench, "ensembled_search.py", [*sized, f"folder={bench.folder / 'ensembled'}"])


def scores(bench: Benchmark) -> None:
    """Metrics of logits against scipy, through their own benchmark."""
    print("\nscores against scipy (aim 10 x scipy in float32)")
    sizes = [f"examples={bench.number('examples')}", f"classes={bench.number('wide')}"]
    script(bench, "scores.py", sizes)


def script(bench: Benchmark, name: str, arguments: Sequence[str]) -> None:
    """Run another benchmark of the measured checkout, its lines below ours."""
    sys.stdout.flush()
    path = bench.root / "benchmarks" / name
    ended = subprocess.run(
        [interpreter(bench.root), str(path), *arguments], cwd=bench.root, check=False
    )
    if ended.returncode:
        sys.exit(ended.returncode)


WORKS = {work.__name__: work for work in (stages, pictures, growth, job, ensemble, scores)}


def main() -> None:
    """Measure what ``works`` names."""
    given = dict(DEFAULTS)
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key not in given or not value:
            sys.exit(f"{argument}: expected one of {', '.join(f'{k}=...' for k in given)}")
        given[key] = value
    wanted = given["works"].split(",")
    if unknown := [work for work in wanted if work not in WORKS]:
        sys.exit(f"works={','.join(unknown)}: expected some of {', '.join(WORKS)}")
    bench = Benchmark(given)
    print(
        f"{len(os.sched_getaffinity(0))} cores at hand, load before {os.getloadavg()[0]:.1f}; "
        f"medians of {bench.runs}, {bench.root}"
    )
    for work in wanted:
        WORKS[work](bench)


if __name__ == "__main__":
    main()
