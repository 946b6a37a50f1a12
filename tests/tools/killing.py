"""Predictions killed with SIGKILL at random times and continued, by hand:

    python -m tests.tools.killing BUNDLE FOLDER kills seed

Processes are forks of one that has loaded everything, so that they are killed at their work.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cascade_exp import Cascade
from cascade_exp.tools import predict as command
from cascade_exp.tools.answer_files import unfinished
from cascade_exp.tools.predict import main
from tests.runtime.making import texts

MODES = {
    "throughput": ["pool=64", "batch_size=16"],
    "latency": ["mode=latency"],
}


def write_input(path: Path, size: int) -> None:
    """Reviews, of which every 50th row is malformed."""
    rows = [f"{i},{text}" for i, (text, _) in enumerate(texts(size, 3).inputs)]
    rows[::50] = [f"{i}" for i in range(0, size, 50)]
    path.write_text("\n".join(["id,text", *rows, ""]))


def predicting(arguments: Sequence[str], after: float | None) -> tuple[bool, float]:
    """(Whether the process was killed, its seconds); killed ``after`` so many unless it ended."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(main(arguments))
    while after is not None and time.monotonic() - started < after:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False, time.monotonic() - started
        time.sleep(0.001)
    if after is not None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status), time.monotonic() - started


def kill_and_compare(
    bundle: Path, folder: Path, mode: str, kills: int, rows: int, seed: int
) -> tuple[int, int]:
    """Kill ``kills`` predictions, each continued to its end and compared with an undisturbed one.

    Returns how many groups the killed ones had finished in all, and how many kills came when some
    but not all were.
    """
    loaded, load = Cascade.load(bundle), command._load
    command._load = lambda options: loaded
    try:
        return _kill_and_compare(bundle, folder, mode, kills, rows, random.Random(seed))
    finally:
        command._load = load


def _kill_and_compare(
    bundle: Path, folder: Path, mode: str, kills: int, rows: int, rng: random.Random
) -> tuple[int, int]:
    reviews = folder / "reviews.csv"
    write_input(reviews, rows)
    common = [f"cascade={bundle}", f"input={reviews}", *MODES[mode]]
    whole = folder / "whole.csv"
    _, seconds = predicting([*common, f"output={whole}"], None)
    done = within = 0
    for number in range(kills):
        output = folder / f"{number}.csv"
        killed = False
        while not killed:  # a process that was quicker is started anew
            for file in (output, output.with_name(f"{number}.rejects.csv")):
                file.unlink(missing_ok=True)
            killed, _ = predicting([*common, f"output={output}"], rng.uniform(0, seconds))
        journal = unfinished(output) / "journal"
        groups = len(journal.read_text().splitlines()) - 1 if journal.exists() else 0
        done, within = done + max(groups, 0), within + (groups > 0)
        if not output.exists():  # else it was killed after its last step
            assert not predicting([*common, f"output={output}"], None)[0]
        assert output.read_bytes() == whole.read_bytes(), f"kill {number}"
        rejects = output.with_name(f"{number}.rejects.csv")
        assert rejects.read_bytes() == (folder / "whole.rejects.csv").read_bytes()
        assert not unfinished(output).exists()
    return done, within


if __name__ == "__main__":
    given, into, count, start = sys.argv[1:]
    for each, size in (("latency", 400), ("throughput", 4000)):
        home = Path(into) / each
        home.mkdir(parents=True)
        begun = time.monotonic()
        groups, between = kill_and_compare(Path(given), home, each, int(count), size, int(start))
        print(
            f"{each}: {count} kills, {between} of them between two groups of {size:,} rows "
            f"({groups:,} groups kept), all outputs equal, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
