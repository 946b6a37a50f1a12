"""The rules of the house about who may import whom (CONTRIBUTING.md)."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cascade_exp"
FREE = {"errors", "atomic", "hub", "tables"}  # neutral: every part may import them
LAYERS = ["cascade", "models", "data", "recordings", "schema", "learning", "report", "jobs"]
LAYERS += ["runtime", "evaluation", "training", "tools"]  # each may import from those before it
CLOSED = {  # parts that may import less than all that is below them
    "cascade": set(),
    "models": set(),
    "data": set(),
    "recordings": {"models", "data"},
    "report": {"cascade", "recordings", "schema"},
    "evaluation": {"cascade", "data", "recordings", "schema", "report", "jobs", "runtime"},
}
PLOTTING = {"wandb", "matplotlib", "plotly", "mlflow", "tensorboard"}
HYDRA = {"hydra"}
LONGEST_FUNCTION = 60


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


def test_every_part_has_its_layer():
    parts = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert parts == set(LAYERS)


@pytest.mark.parametrize("part", LAYERS)
def test_a_layer_imports_only_from_below(part):
    may = CLOSED.get(part, set(LAYERS[: LAYERS.index(part)])) | {part} | FREE
    for path in (SOURCE / part).rglob("*.py"):
        own = {n.split(".")[1] for n in imports(path) if n.startswith("cascade_exp.")}
        assert own <= may, f"{path}: {own - may}"


def test_evaluations_need_no_torch():
    for path in (SOURCE / "evaluation").rglob("*.py"):
        assert not tops(path) & {"torch", "pytorch_lightning", "timm", "transformers"}, path


def test_the_science_knows_no_framework():
    banned = PLOTTING | HYDRA | {"torch", "pytorch_lightning", "omegaconf", "pandas", "rich"}
    for path in (SOURCE / "cascade").rglob("*.py"):
        assert not tops(path) & banned, path


def test_only_report_draws_and_logs_to_wandb():
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


def test_functions_stay_short():
    long = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long[f"{path.relative_to(SOURCE)}:{node.name}"] = lines
    assert not long


def test_nothing_is_unpickled():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "pickle.load" not in text and "allow_pickle=True" not in text, path
        assert "weights_only=False" not in text, path
