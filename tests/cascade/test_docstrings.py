"""Every public name of ``cascade/`` shows, in a doctest, what it gives."""

from __future__ import annotations

import ast
import doctest
from pathlib import Path

import cascade_exp.cascade
from cascade_exp.cascade.search.kernels import bits

FOLDER = Path(cascade_exp.cascade.__file__).parent
KERNELS = "search/kernels/"
PASS = "a pass over arrays laid out by its caller, whose example runs it; compared with an oracle"
EXCEPTIONS = {
    f"{KERNELS}{name}": PASS
    for name in (
        "boxes:search_boxes",
        "quads_grid:grid_pass",
        "quads_grid:make_stream",
        "triples_cells:search_cells",
        "triples_grid:grid_pass",
        "triples_grid:still_found",
    )
}
"""Public names without an example, and why."""


def public(module: Path) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """By ``module:name``, the public functions and classes that a module defines."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    where = module.relative_to(FOLDER).with_suffix("").as_posix()
    return {
        f"{where}:{node.name}": node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not is_protocol(node)
    }


def is_protocol(node: ast.AST) -> bool:
    """Whether ``node`` is a Protocol: what it names is shown by those that implement it."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return any("Protocol" in ast.unparse(base) for base in bases)


def has_example(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether its docstring, or for a class that of a public member, holds a doctest."""
    documented = [node]
    if isinstance(node, ast.ClassDef):
        documented += [
            part
            for part in node.body
            if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")
        ]
    return any(">>>" in (ast.get_docstring(one) or "") for one in documented)


def called_from_outside() -> set[str]:
    """The names that modules outside of the kernels import from them: their entry points."""
    package = "cascade_exp.cascade.search.kernels."
    return {
        f"{KERNELS}{node.module.removeprefix(package)}:{alias.name}"
        for path in FOLDER.rglob("*.py")
        if path.parent.name != "kernels"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package)
        for alias in node.names
    }


def is_record(node: ast.AST) -> bool:
    """Whether ``node`` is a NamedTuple: what a kernel's many arguments are called."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return any("NamedTuple" in ast.unparse(base) for base in bases)


def shown() -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """All public names of ``cascade/``; of the kernels those that others call."""
    entries = called_from_outside()
    every = {n: node for path in sorted(FOLDER.rglob("*.py")) for n, node in public(path).items()}
    return {
        name: node
        for name, node in every.items()
        if not name.startswith(KERNELS) or (name in entries and not is_record(node))
    }


def test_every_public_name_has_an_example():
    names = shown()
    assert len(names) > 200 and len(called_from_outside()) > 15
    assert {name for name, node in names.items() if not has_example(node)} == set(EXCEPTIONS)


def test_examples_of_compiled_functions_are_run():
    """Numba's dispatchers are found by doctest too, so that their examples are no decoration."""
    found = doctest.DocTestFinder().find(bits)
    assert {"pack_flags", "pack_lanes", "gather"} <= {
        test.name.rpartition(".")[2] for test in found if test.examples
    }
