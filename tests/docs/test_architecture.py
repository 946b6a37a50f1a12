"""``docs/architecture.md`` shows the tree and the layers as they are."""

import re

from tests.docs.commands import ROOT
from tests.test_layering import FREE, LAYERS

PAGE = (ROOT / "docs" / "architecture.md").read_text()
SOURCE = ROOT / "src" / "cascade_exp"


def test_the_tree_names_every_folder():
    shown = PAGE[PAGE.index("src/cascade_exp/\n") : PAGE.index("src/hydra_plugins/")]
    path: list[str] = []
    found = set()
    for indent, name in re.findall(r"^( +)(\w+)/ ", shown, flags=re.MULTILINE):
        path = [*path[: len(indent) // 2 - 1], name]
        found.add("/".join(path))
    packages = {str(p.parent.relative_to(SOURCE)) for p in SOURCE.rglob("__init__.py")} - {"."}
    assert found == packages


def test_the_layers_are_those_of_the_test():
    (line,) = re.findall(r"^    (cascade · .*)$", PAGE, flags=re.MULTILINE)
    assert line.split(" · ") == LAYERS
    assert all(f"`{name}`" in PAGE for name in FREE)
