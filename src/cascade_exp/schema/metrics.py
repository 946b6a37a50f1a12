"""The settings of confidence metrics, out of the signatures of their functions.

A metric's parameters after the block of rows are its settings, with their types and defaults: they
are stated there and nowhere else. The signatures are read without importing the module, whose
compiled code takes longer to load than a command may take to compose its configuration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import field, make_dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cascade_exp.schema.evaluating import Named

MODULE = "cascade_exp.cascade.confidence"
TYPES: dict[str, type] = {kind.__name__: kind for kind in (int, float, bool, str)}


@cache
def metric_schemas() -> dict[str, type[Named]]:
    """By metric with settings of its own, the dataclass of them: ``/schema/metric/<name>``.

    >>> metric_schemas()["topk_sum"]("topk_sum", k=5).k
    5

    Raises:
        TypeError: for a parameter of another type than int, float, bool and str.
    """
    spec = find_spec(MODULE)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = {}
    for function in functions:
        settings = list(_settings(function)) if _is_metric(function) else []
        if settings:
            found[function.name] = make_dataclass(
                f"Metric_{function.name}",
                settings,
                bases=(Named,),
                kw_only=True,
                namespace={"__module__": __name__, "__doc__": f"``metric={function.name}``."},
            )
    return found


def metric_option(name: str, **settings: object) -> Named:
    """The option ``metric=<name>`` with these settings."""
    return metric_schemas().get(name, Named)(name, **settings)


def _is_metric(function: ast.FunctionDef) -> bool:
    """Whether the function is declared by ``@metric(…)``."""
    return any(
        isinstance(called, ast.Call)
        and isinstance(called.func, ast.Name)
        and called.func.id == "metric"
        for called in function.decorator_list
    )


def _settings(function: ast.FunctionDef) -> Iterator[tuple[str, type, Any]]:
    """Name, type and field of each parameter after the first."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    defaults: list[ast.expr | None] = [None] * len(positional)
    given = arguments.defaults[-len(positional) :] if positional else []
    defaults[len(positional) - len(given) :] = given
    pairs = [*zip(positional, defaults, strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for parameter, default in pairs:
        annotation = parameter.annotation
        kind = TYPES.get(annotation.id) if isinstance(annotation, ast.Name) else None
        if kind is None:
            raise TypeError(
                f"{MODULE}.{function.name}: parameter {parameter.arg}: expected one of the types "
                f"{', '.join(TYPES)}"
            )
        stated = field() if default is None else field(default=ast.literal_eval(default))
        yield parameter.arg, kind, stated
