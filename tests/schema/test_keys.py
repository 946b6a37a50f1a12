"""Every key of the schema is read by the code, and every default is stated once."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import yaml
from omegaconf import MISSING

from cascade_exp.cascade.confidence import METRICS
from cascade_exp.schema import evaluating, training
from cascade_exp.schema.metrics import metric_schemas
from cascade_exp.schema.registry import OPTION_SCHEMAS
from tests.test_configs import CONF, composed

SOURCE = Path(__file__).parents[2] / "src"
SPREAD = {  # handed over whole, as keyword arguments or a mapping: where its keys are then named
    training.Data: "cascade_exp/data",
    evaluating.TopK: "cascade_exp/cascade",
    evaluating.F1: "cascade_exp/cascade",
    evaluating.WandbLogger: "cascade_exp/report/tracking",
}
CLASSES = [
    found
    for module in (evaluating, training)
    for found in vars(module).values()
    if dataclasses.is_dataclass(found) and found.__module__ == module.__name__
]


def reads_settings(path: Path) -> bool:
    """Whether the module has objects of the schema in its hands."""
    text = path.read_text()
    return "cascade_exp.schema" in text or "settings." in text


def attributes(tree: ast.AST) -> set[str]:
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {node.attr for node in found if isinstance(node.ctx, ast.Load)}


def names(tree: ast.AST) -> set[str]:
    """Parameters of functions, fields of classes and texts."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def own_methods() -> set[str]:
    """What the dataclasses read themselves, their checks apart."""
    found = set()
    for path in (SOURCE / "cascade_exp" / "schema").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name != "__post_init__":
                found |= attributes(node)
    return found


def interpolated() -> set[str]:
    """Keys that another key takes its value from: ``${data.dar_margin}``."""
    texts = (path.read_text() for path in CONF.rglob("*.yaml"))
    return {
        found.rpartition(".")[2] for text in texts for found in re.findall(r"\$\{([\w.]+)\}", text)
    }


MODULES = [p for p in SOURCE.rglob("*.py") if "schema" not in p.relative_to(SOURCE).parts]
READ = own_methods() | interpolated()
READ = READ.union(*(attributes(ast.parse(p.read_text())) for p in MODULES if reads_settings(p)))


def named_below(folder: str) -> set[str]:
    paths = (SOURCE / folder).rglob("*.py")
    return set().union(*(names(ast.parse(path.read_text())) for path in paths))


def test_something_reads_every_key():
    keys, unread = 0, []
    for kind in CLASSES:
        spread = [
            named_below(folder) for whole, folder in SPREAD.items() if issubclass(kind, whole)
        ]
        for field in dataclasses.fields(kind):
            keys += 1
            if field.name not in READ.union(*spread):
                unread.append(f"{kind.__name__}.{field.name}")
    print(f"{keys} keys of {len(CLASSES)} dataclasses")
    assert keys > 150 and not unread


def test_the_scan_finds_a_key_that_nothing_reads():
    assert "surely_no_such_key" not in READ and {"max_stages", "margin", "ckpt_path"} <= READ


def test_a_metrics_keys_are_its_functions_parameters():
    """The schema reads the signatures without importing them; here they are imported."""
    taken = {}
    for name, metric in METRICS.items():
        parameters = list(inspect.signature(metric.function, eval_str=True).parameters.values())[1:]
        if parameters:
            taken[name] = [(p.name, p.annotation, p.default) for p in parameters]
    missing = {dataclasses.MISSING: inspect.Parameter.empty}
    read = {
        name: [
            (f.name, f.type, missing.get(f.default, f.default))
            for f in dataclasses.fields(schema)
            if f.name != "name"
        ]
        for name, schema in metric_schemas().items()
    }
    assert read == taken and "topk_sum" in taken


@pytest.mark.parametrize("group", sorted(OPTION_SCHEMAS))
def test_a_default_is_stated_once(group):
    """An option file states what its dataclass leaves open, or what differs from it."""
    for path in sorted((CONF / group).glob("*.yaml")):
        given = yaml.safe_load(path.read_text()) or {}
        for schema, at in _schemas(given.pop("defaults", []), group):
            values = given.get(at, {}) if at else given
            for field in dataclasses.fields(schema):
                open_ = (dataclasses.MISSING, MISSING)
                if field.default not in open_ and field.name in values:
                    assert values[field.name] != field.default, f"{path}: {field.name}"


def _schemas(defaults, group):
    for entry in defaults:
        text = next(iter(entry)) if isinstance(entry, dict) else entry
        path, _, at = text.partition("@")
        if path.startswith(f"/schema/{group}/"):
            schema = OPTION_SCHEMAS[group][path.rpartition("/")[2]]
            yield schema, "" if at == "_here_" else at


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_keys_at_the_top_stand_in_the_commands_files_with_a_comment(command):
    lines = [
        line
        for name in ("common", command)
        for line in (CONF / f"{name}.yaml").read_text().splitlines()
    ]
    groups = {entry.name for entry in CONF.iterdir() if entry.is_dir()}
    for key in set(composed(command)) - groups - {"methods", "speed_ups"}:
        stated = [line for line in lines if line.startswith(f"{key}:")]
        assert len(stated) == 1, key
        commented = stated[0]
        if stated[0].endswith(":"):  # the comments are those of the keys below it
            commented = lines[lines.index(stated[0]) + 1]
        assert "#" in commented, key
