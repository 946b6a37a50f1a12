"""Benchmarks decide no test; these only keep them in step with the code that they measure."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(path.stem for path in BENCHMARKS.glob("*.py"))


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    """A benchmark finds its neighbours, as when it is run by its path, and leaves none behind."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_benchmark_imports_is_there(name):
    assert importlib.import_module(name).__doc__


def test_the_runtime_beside_its_yardsticks(small_glue_job, capsys):
    runtime = importlib.import_module("runtime")
    assert runtime.main([f"run={small_glue_job}", "examples=6", "rounds=1"]) == 0
    said = capsys.readouterr().out
    for line in ("batch size 1, 6 examples", "batch size 32", "ideal", "ms to a request"):
        assert line in said
    assert runtime.main([]) == 0
    assert "run=JOB is needed" in capsys.readouterr().out
