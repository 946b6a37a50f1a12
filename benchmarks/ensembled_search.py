"""The exact search over ensembled cascades: what it costs when every stage is a mean of models.

    python benchmarks/ensembled_search.py [models=27] [examples=50000] [classes=1000] [stages=3]
        [ensemble=mean_logits] [folder=/tmp/ensembled_search]

Synthetic logits, seeded, float32 on disk (5.4 GB as given; kept in ``folder`` for the next call)
and memory-mapped: models that see the same difficulty, costs over four orders of magnitude. Every
pair and triple has a stage of its own here, so the logits are read again and again; the time of
scoring each model once, and the search without an ensemble, stand beside. Peak memory is the
process's own: the mapped logits are the operating system's to drop.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
from synthetic import costs, labels, write_logits

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.engine import SearchResult, search


def open_pool(folder: Path, models: int, shape: tuple[int, int], ensemble: str) -> LogitsPool:
    """The pool over the files in ``folder``, drawn where they are missing."""
    examples, classes = shape
    folder.mkdir(parents=True, exist_ok=True)
    outputs, cost = {}, {}
    for m, place in enumerate(np.linspace(0, 1, models)):
        name = f"m{m:02d}"
        path = folder / f"{name}-{models}-{examples}-{classes}.npy"
        if not path.is_file():
            write_logits(path, m, float(place), shape)
        outputs[name] = np.load(path, mmap_mode="r")
        cost[name] = costs(models)[m]
    return LogitsPool.build(
        outputs,
        cost,
        labels(shape),
        metric=make_metric("max_softmax"),
        objective=make_objective("accuracy"),
        ensemble=ensemble,
    )


def private_megabytes() -> float:
    """Memory of this process that is no mapped file, in MB."""
    status = Path("/proc/self/status").read_text()
    anonymous = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(anonymous.split()[1]) / 1024


def searched(pool: LogitsPool, stages: int) -> tuple[SearchResult, float, float, float]:
    """The front, the seconds for scores and for the search, the most private memory seen."""
    start = time.perf_counter()
    pool.prepare()
    scored = time.perf_counter() - start
    most = private_megabytes()

    def watch(done: int, total: int) -> None:
        nonlocal most
        most = max(most, private_megabytes())
        if sys.stderr.isatty():
            print(f"\r{done:,} of {total:,}", end="", file=sys.stderr)

    start = time.perf_counter()
    result = search(pool, pool.objective, max_stages=stages, progress=watch)
    return result, scored, time.perf_counter() - start, max(most, private_megabytes())


def main() -> None:
    """Draw, search with and without the ensemble, print."""
    given = {
        "models": "27",
        "examples": "50000",
        "classes": "1000",
        "stages": "3",
        "ensemble": "mean_logits",
        "folder": "/tmp/ensembled_search",
    }
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key not in given or not value:
            sys.exit(f"{argument}: expected one of {', '.join(f'{k}=...' for k in given)}")
        given[key] = value
    shape = (int(given["examples"]), int(given["classes"]))
    for ensemble in ("none", given["ensemble"]):
        pool = open_pool(Path(given["folder"]), int(given["models"]), shape, ensemble)
        result, scored, seconds, most = searched(pool, int(given["stages"]))
        best = result.front[-1]
        print(
            f"ensemble={ensemble}: {result.note}; exact: {result.exact}\n"
            f"  scores {scored:.1f} s, search {seconds:.1f} s, most private memory {most:,.0f} MB; "
            f"{len(result.front):,} points up to {best.score:.2%} at {best.cost:.4g}"
        )
    print(f"peak resident, mapped files included: {peak_megabytes():,.0f} MB")


def peak_megabytes() -> float:
    """The most memory this process has had, mapped files included, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
