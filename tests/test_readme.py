"""Every command of README and docs runs in a bare clone, on less data but otherwise as it stands.

Blocks that are marked ``<!-- not run: … -->`` need what is not here (a hub, a GPU, hours);
their commands still have to compose, and the modules and keys that they name to exist.
"""

import importlib.util
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from cascade_exp.schema.checks import to_settings
from cascade_exp.schema.registry import register
from tests.docs.commands import ROOT, Block, bare_clone, blocks, commands, run, tracked

# docs/adding.md shows changes of the tree and what they then do: tests/docs/test_adding.py.
# CONTRIBUTING.md's `make` is what CI runs.
PAGES = [p for p in tracked("README.md", "docs/*.md") if p.name != "adding.md"]
SHOWN = {"README.md", "docs/wandb.md"}  # these need plots and W&B
BLOCKS = [block for page in PAGES for block in blocks(page)]
TESTS = "pip install uv && uv run pytest\n"
RUN = [block for block in BLOCKS if block.reason is None and block.text != TESTS]
MARKED = [block for block in BLOCKS if block.reason is not None]


def test_the_tests_of_the_readme_are_those_of_ci():
    shown = [block.text for block in blocks(ROOT / "README.md")]
    assert FIRST in shown and TESTS in shown
    assert "uv run pytest\n" in (ROOT / ".ci" / "run").read_text()


def test_every_command_of_the_readme_is_run_or_marked():
    shown = [block for block in BLOCKS if block.page == "README.md"]
    assert len([block for block in shown if block in RUN]) >= 5
    assert not [block for block in BLOCKS if "../shared" in block.text]


FIRST = "pip install uv && uv run train.py\n"


@dataclass(frozen=True)
class Clone:
    """A bare clone in which the README's first command has run: the newest job that pages name."""

    folder: Path
    first: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    folder = bare_clone(tmp_path_factory.mktemp("work") / "main")
    return Clone(folder, run(FIRST, folder, quiet=False))


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs(clone, block):
    quiet = block.page not in SHOWN
    done = clone.first if block.text == FIRST else run(block.text, clone.folder, quiet=quiet)
    assert done.returncode == 0, f"{block}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    if block.page == "README.md":
        jobs = len([words for words in commands(block) if words[0] in ("train.py", "evaluate.py")])
        shown = done.stdout + done.stderr
        assert shown.count("report.html") >= jobs
        assert shown.count("wandb sync") >= jobs


def one_of_each(overrides: list[str]) -> list[str]:
    """The overrides of the first job of a sweep over ``overrides``."""
    first = []
    for override in OverridesParser.create().parse_overrides(overrides):
        value = None
        if override.is_interval_sweep():
            value = override.value().start
        elif override.is_sweep_override():
            value = next(override.sweep_string_iterator())
        found = override.input_line if value is None else f"{override.key_or_group}={value}"
        first.append(found)
    return first


def check_job(script: str, given: list[str]) -> None:
    overrides = [word.replace("…", "x") for word in given if not word.startswith("-")]
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        parsed = one_of_each(overrides)
        to_settings(compose(script.removesuffix(".py"), parsed))


def check_module(module: str, given: list[str]) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"no module {module}"
    source = Path(spec.origin).read_text()
    for word in given:
        key, equals, _ = word.partition("=")
        assert not equals or re.search(rf"\b{key}\b", source), f"{module} knows no {key}"


@pytest.mark.parametrize("block", MARKED, ids=str)
def test_a_block_that_is_not_run_still_composes(block: Block):
    found = commands(block)
    for script, *given in found:
        if script in ("train.py", "evaluate.py"):
            check_job(script, given)
        elif script == "python" and given[0] == "-m":
            check_module(given[1], given[2:])
        elif script == "python" and given[0].endswith(".py"):
            assert (ROOT / given[0]).is_file()
    assert found or "uv run" not in block.text
