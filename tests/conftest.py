"""What every test shares: how many processes run them, one thread in each, and no deadline."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# One thread per process, before anything imports numpy or torch: the processes share the cores, and
# sums do not depend on how many there are. Jobs that tests start inherit it.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Where the processes of tests.warm are forked, for the workers too: they inherit it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["CASCADE_EXP_WARM"] = f"{tempfile.mkdtemp(prefix='cascade_exp_')}:{os.getpid()}"

MOST_WORKERS = 8  # each holds torch: about 1 GB

# No deadline, as no timing ever decides a test.
settings.register_profile("cascade_exp", deadline=None)
settings.load_profile("cascade_exp")

pytest_plugins = ["tests.small_jobs", "tests.costs"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker per core, but no more than the files named: each file runs in one worker."""
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    cores = min(len(allowed(0)), MOST_WORKERS)
    named = [Path(argument.partition("::")[0]) for argument in config.args]
    files = len(set(named)) if all(path.suffix == ".py" for path in named) else cores
    return min(cores, files) if min(cores, files) > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests first, so that the workers end at about the same time."""
    slow: dict[Path, int] = {}
    for item in items:
        slow[item.path] = slow.get(item.path, 0) + (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: -slow[item.path])


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["CASCADE_EXP_WARM"].rpartition(":")[0], ignore_errors=True)
