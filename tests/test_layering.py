"""The rules of the house about who may import whom (DESIGN §3)."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cascade_exp"
FREE = {"errors", "atomic", "hub"}  # neutral: every part may import them
PARTS = {
    "cascade": {"cascade"},
    "models": {"models"},
    "data": {"data"},
    "learning": {"learning", "models", "data", "schema", "recordings", "cascade"},
    "recordings": {"recordings", "models", "data"},
    "report": {"report", "cascade", "recordings", "schema"},
}
PLOTTING = {"wandb", "matplotlib", "plotly", "mlflow", "tensorboard"}
HYDRA = {"hydra"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_only_what_they_may(part):
    for path in (SOURCE / part).rglob("*.py"):
        own = {n.split(".")[1] for n in imports(path) if n.startswith("cascade_exp.")}
        assert own <= PARTS[part] | FREE, f"{path}: {own - PARTS[part] - FREE}"


def test_the_science_knows_no_framework():
    banned = PLOTTING | HYDRA | {"torch", "pytorch_lightning", "omegaconf", "pandas", "rich"}
    for path in (SOURCE / "cascade").rglob("*.py"):
        assert not tops(path) & banned, path


def test_only_report_draws_and_tells_wandb():
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] != "report":
            assert not tops(path) & PLOTTING, path


def test_only_jobs_and_schema_know_hydra():
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] not in ("jobs", "schema"):
            assert not tops(path) & HYDRA, path


def test_entry_points_are_thin():
    for name in ("train.py", "evaluate.py"):
        assert len((SOURCE.parents[1] / name).read_text().splitlines()) < 40


def test_files_stay_small():
    long = {str(p): n for p in SOURCE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_nothing_is_unpickled():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "pickle.load" not in text and "allow_pickle=True" not in text, path
        assert "weights_only=False" not in text, path
