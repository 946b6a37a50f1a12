"""What makes a test costly, as markers that are set by what the test uses, not by hand.

``process``: it starts a process. ``job``: it runs a training or an evaluation from config to files.
``training``: it fits a network. ``make quick`` runs the tests that do none of these and are not
``slow``. A test uses what the names in its code and in that of its fixtures stand for, and so on
through the functions of ``tests``. Where a test starts a process or fits a network without the
marker that says so, a use is missing here: it fails where markers choose the tests, and is warned
about elsewhere.
"""

from __future__ import annotations

import inspect
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

USES = {
    "subprocess": "process",
    "multiprocessing": "process",
    "tests.warm.python": "process",
    "tests.running.run": "job",
    "cascade_exp.learning.fit.make_trainer": "training",
    "cascade_exp.learning.fit.fit": "training",
    "cascade_exp.learning.folds.fit_fold": "training",
    "pytorch_lightning.trainer.trainer.Trainer": "training",
}
OWN = ("tests.", "cascade_exp.")
# Programs that answer at once: the commit and the machine for job.json, and what ctypes asks.
LIGHT = {"git", "uname", "ldconfig", "ld", "gcc", "cc", "objdump", "lscpu", "nvidia-smi", "sh"}
STARTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"}


def uses(function: Any) -> set[str]:
    """The markers of what ``function`` uses, and the functions of ``tests`` that it names."""
    found, seen, waiting = set(), set(), [inspect.unwrap(function)]
    while waiting:
        named = waiting.pop()
        name = named.__name__
        if not isinstance(named, types.ModuleType):
            name = f"{getattr(named, '__module__', '')}.{named.__qualname__}"
        if name in USES:
            found.add(USES[name])
        elif name not in seen and name.startswith("tests.") and hasattr(named, "__code__"):
            seen.add(name)
            waiting += [inspect.unwrap(one) for one in named_in(named.__code__, named.__globals__)]
    return found


def named_in(code: types.CodeType, known: dict[str, Any]) -> Iterator[Any]:
    """The modules, classes and functions that ``code`` names, its own imports included."""
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    modules = [known.get(name, sys.modules.get(name)) for name in code.co_names]
    modules = [one for one in modules if isinstance(one, types.ModuleType)]
    yield from (one for one in modules if one.__name__ in USES)
    places = [known, *(vars(one) for one in modules if one.__name__.startswith(OWN))]
    for name in code.co_names:
        for place in places:
            if isinstance(place.get(name), types.ModuleType | types.FunctionType | type):
                yield place[name]
    for one in inner:
        yield from named_in(one, known)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known: dict[Any, set[str]] = {}
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        for function in [item.function, *(one.func for each in fixtures for one in each)]:
            if function not in known:
                known[function] = uses(function)
            for name in known[function]:
                item.add_marker(name)


done: set[str] = set()
"""The markers of what was done since the running test, or the fixture for it, began."""


def heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in STARTS:
        return
    program = arguments[0] if arguments else None
    if event == "subprocess.Popen" and Path(str(program or arguments[1][0])).name in LIGHT:
        return
    done.add("process")


sys.addaudithook(heard)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Hear what ``item`` and its fixtures do."""
    done.clear()
    watch_fits()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Name what ``item`` does and none of its markers says."""
    found = yield
    missing = done - {mark.name for mark in item.iter_markers()}
    if missing and not item.get_closest_marker("job"):  # which trains, and W&B has a process
        text = f"{item.nodeid} uses {missing}, and tests/costs.py does not see it: see USES there"
        if item.config.option.markexpr:  # it was chosen for what it does not do
            pytest.fail(text)
        warnings.warn(pytest.PytestWarning(text), stacklevel=1)
    return found


def watch_fits() -> None:
    """From now on, whoever fits with Lightning is heard; it is imported by the first that does."""
    lightning = sys.modules.get("pytorch_lightning")
    if lightning is None or hasattr(lightning.Trainer.fit, "heard"):
        return
    plain = lightning.Trainer.fit

    def fit(*given: Any, **named: Any) -> None:
        done.add("training")
        plain(*given, **named)

    fit.heard = True
    lightning.Trainer.fit = fit
