"""Every command of the README runs, on less data and fewer epochs but otherwise as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "../shared"
SMALLER = {
    "train.py": ["data.limit_train=64", "trainer.max_epochs=1", "data.validation_share=0.02"],
    "evaluate.py": [],
}


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("pip install uv && ") for line in lines if line]


RUN = [c for c in commands() if c.startswith("uv run ") and c.split()[2] in SMALLER]


def test_the_readme_names_no_command_that_nobody_runs():
    others = [c for c in commands() if c not in RUN]
    assert others == ["uv run pytest"]
    assert "uv run pytest\n" in (ROOT / ".ci" / "run").read_text()


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A folder like a clone's, with the shared data beside it."""
    folder = tmp_path_factory.mktemp("work") / "main"
    folder.mkdir()
    for name in ("train.py", "evaluate.py", "conf"):
        (folder / name).symlink_to(ROOT / name)
    if SHARED.is_dir():
        (folder.parent / "shared").symlink_to(SHARED.resolve())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_readme_runs(clone, command):
    if "../shared" in command and not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    _, _, script, *rest = shlex.split(command)
    flags = [a for a in rest if a.startswith("-")]
    overrides = [a for a in rest if not a.startswith("-")]
    done = subprocess.run(
        [sys.executable, script, *flags, *overrides, *SMALLER[script]],
        cwd=clone,
        env={**os.environ, "WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "report.html" in done.stdout
    assert "wandb sync" in done.stdout + done.stderr
