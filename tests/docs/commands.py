"""The commands of README and docs: finding them, running them in a bare clone, composing them.

A page's fenced ``bash`` blocks run as they stand. One that cannot run here says why in the line
before it, ``<!-- not run: needs a GPU -->``; its commands are then composed instead.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.warm import python

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n+)?^```bash\n(?P<text>.*?)^```",
    flags=re.DOTALL | re.MULTILINE,
)

# Less of everything that only makes a result steadier; a key that a command sets itself stays.
SMALLER = {
    "train.py": [
        "data.limit_train=64",
        "trainer.max_epochs=1",
        "data.validation_share=0.02",
        "bootstrap.resamples=50",
    ],
    "evaluate.py": ["bootstrap.resamples=50"],
}
QUIETER = ["plots=false", "logger=none"]  # for all pages but the README

UV = '''#!{python} -IS
"""Stands for uv in the tests: `uv run` with the environment of the tests, and smaller jobs."""

import os
import sys

smaller = {smaller!r}
command, *rest = sys.argv[1:]
if command != "run":
    sys.exit(f"uv {{command}}: the tests of the docs know `uv run` alone")
while rest[0] == "--extra":
    rest = rest[2:]
script, *given = rest
if script == "python":
    os.execv(sys.executable, [*{warm!r}, *given])
named = {{word.lstrip("+~").partition("=")[0] for word in given}}
added = [more for more in smaller[script] if more.partition("=")[0] not in named]
os.execv(sys.executable, [*{warm!r}, script, *given, *added])
'''


@dataclass(frozen=True)
class Block:
    """One block of commands: the page and line where it starts, and why it is not run, if so."""

    page: str
    line: int
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The bash blocks of ``page``, in order."""
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, found.start("text")), found["text"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


def tracked(*patterns: str) -> list[Path]:
    """The repository's own files; those that are not committed yet count too."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.splitlines() if (path := ROOT / name).is_file()]


def bare_clone(folder: Path) -> Path:
    """A copy in ``folder`` of what the repository holds, with nothing beside it."""
    for path in tracked():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return folder


def run(text: str, clone: Path, *, quiet: bool) -> subprocess.CompletedProcess[str]:
    """Run ``text`` with bash in ``clone``; stops at the first command that fails."""
    shims = clone.parent / ("quiet" if quiet else "shown")
    shims.mkdir(exist_ok=True)
    smaller = {name: [*more, *(QUIETER if quiet else [])] for name, more in SMALLER.items()}
    uv = shims / "uv"
    uv.write_text(UV.format(python=sys.executable, smaller=smaller, warm=python()))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace("pip install uv && ", "")],
        cwd=clone,
        env={
            **os.environ,
            "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
            "WANDB_MODE": "offline",
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def commands(block: Block) -> list[list[str]]:
    """The words of the block's ``uv run`` commands, its variables put in."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    variables: dict[str, str] = {}
    found = []
    for line in joined.splitlines():
        assigned = re.fullmatch(r"(?:export )?(\w+)=(.*)", line)
        for name, value in variables.items():
            line = re.sub(rf"\${name}\b|\$\{{{name}\}}", lambda _, v=value: v, line)
        if assigned:
            variables[assigned[1]] = "".join(shlex.split(assigned[2], comments=True))
            continue
        words = shlex.split(line.removeprefix("pip install uv && "), comments=True)
        if words[:2] == ["uv", "run"]:
            words = words[2:]
            while words[0] == "--extra":
                words = words[2:]
            found.append([word for word in words if word != "…"])  # "as above"
    return found
