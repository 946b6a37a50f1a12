"""Every section of docs/adding.md that shows a diff is applied to a copy of the tree and run."""

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.warm import python

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding.md"
COPIED = ("src", "conf", "examples", "pyproject.toml", "train.py", "evaluate.py")
KERNELS = "src/cascade_exp/cascade/search/kernels"
MOST_FILES, MOST_LINES = 2, 30


@dataclass(frozen=True)
class Addition:
    """One section: its diff, the commands to run, and lines, or parts of them, that these print."""

    heading: str
    diff: str
    commands: list[str]
    expected: list[str]


def additions() -> list[Addition]:
    found = []
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading, _, body = section.partition("\n")
        fences = re.findall(r"^```(\w+)\n(.*?)^```$", body, flags=re.M | re.S)
        blocks = {kind: text for kind, text in fences if kind in ("diff", "bash", "text")}
        if "diff" in blocks:
            assert len([kind for kind, _ in fences if kind == "diff"]) == 1, heading
            commands = blocks["bash"].replace("\\\n", " ").splitlines()
            found.append(Addition(heading, blocks["diff"], commands, blocks["text"].splitlines()))
    return found


each_addition = pytest.mark.parametrize("addition", additions(), ids=lambda one: one.heading)


def test_the_page_shows_additions():
    assert additions()


@each_addition
def test_an_addition_is_small(addition):
    files = re.findall(r"^\+\+\+ b/(\S+)$", addition.diff, flags=re.M)
    added = re.findall(r"^\+(?!\+\+ )", addition.diff, flags=re.M)
    assert 1 <= len(files) <= MOST_FILES, files
    assert len(added) <= MOST_LINES, len(added)


@pytest.mark.slow
@each_addition
def test_an_addition_applies_and_runs(addition, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("kernels"))
        else:
            shutil.copy2(source, tree / name)
    # compiled where it lies, once for all trees
    (tree / KERNELS).symlink_to(ROOT / KERNELS)
    applied = subprocess.run(
        ["git", "apply", "--recount", "-"],
        input=addition.diff,
        cwd=tree,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert applied.returncode == 0, f"the diff of '{addition.heading}' is stale: {applied.stderr}"
    printed = ""
    for command in addition.commands:
        argv = shlex.split(command, comments=True)
        assert argv[:2] == ["uv", "run"], command
        done = subprocess.run(
            python(*(argv[3:] if argv[2] == "python" else argv[2:])),
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "100"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout + done.stderr
    words = " ".join(printed.split())
    assert addition.expected
    for expected in addition.expected:
        assert " ".join(expected.split()) in words, f"{expected!r} is not in\n{printed}"
