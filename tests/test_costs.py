"""The markers of what tests use are found, and what is not found fails."""

import sys
import types

import pytest

from tests import costs, running, warm

pytest_plugins = ["pytester"]


def starts():
    import subprocess

    return subprocess.run(["true"])


def runs_a_command():
    return list(warm.python("x.py"))


def runs_a_job():
    from tests.running import run

    return lambda: run("train", None)


def by_way_of_others():
    return (runs_a_job(), runs_a_command())


def costs_nothing(run=running):
    return sorted([run.ROOT])


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (starts, {"process"}),
        (runs_a_job, {"job"}),
        (by_way_of_others, {"job", "process"}),
        (costs_nothing, set()),
    ],
)
def test_uses_are_found(function, found):
    assert costs.uses(function) == found


HIDDEN = """
import importlib
import sys

def test_process():
    getattr(importlib.import_module("sub" + "process"), "run")(["sleep", "0"])

def test_git():
    getattr(importlib.import_module("sub" + "process"), "run")(["git", "--version"])

def test_training():
    getattr(sys.modules["pytorch_" + "lightning"], "Trainer")().fit()

def test_nothing():
    pass
"""


@pytest.mark.process
@pytest.mark.training
def test_what_is_done_and_not_seen_is_named(pytester, monkeypatch):
    trainer = type("Trainer", (), {"fit": lambda self: None})
    lightning = types.SimpleNamespace(Trainer=trainer)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", lightning)
    pytester.makepyfile(HIDDEN)
    given = ("-p", "tests.costs", "-p", "no:xdist", "-p", "no:cacheprovider")
    chosen = pytester.runpytest_inprocess(*given, "-m", "not process and not training")
    chosen.assert_outcomes(passed=2, failed=2)
    named = ["*test_process uses {'process'}*", "*test_training uses {'training'}*"]
    chosen.stdout.fnmatch_lines_random(named)
    every = pytester.runpytest_inprocess(*given)
    every.assert_outcomes(passed=4, warnings=2)
    every.stdout.fnmatch_lines_random(named)
