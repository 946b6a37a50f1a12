"""Words that the papers' field has others for are in no code, message, config or page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("src", "conf", "docs", "sweeps", "benchmarks", "examples")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "train.py", "evaluate.py")
ENDINGS = (".py", ".md", ".yaml", ".toml", ".j2")
WORDS = {
    "told": "reported, or given",
    "tells": "describes, or shows",
    "goes on": "is deferred, or continues",
    "go on": "are deferred, or continue",
    "dearer": "costlier",
    "dearest": "most expensive",
    "surest": "most confident",
    "surely": "most confident",
    "goes without": "disables",
    "rivals": "methods at equal speed-up",
}
QUOTED = {
    "src/cascade_exp/schema/renamed.py": "rivals",
    "docs/reproduction/cascadebert.md": "rivals",
    "CHANGELOG.md": "rivals",
}
"""Where an old key is named because it is refused, or was then in use."""


def files():
    listed = [path for place in PLACES for path in (ROOT / place).rglob("*")]
    return [*(path for path in listed if path.suffix in ENDINGS), *(ROOT / page for page in PAGES)]


@pytest.mark.parametrize("word", WORDS)
def test_no_file_has_the_word(word):
    pattern = re.compile(rf"\b{word}\b".replace(" ", r"\s+"), re.IGNORECASE)
    found = {
        path.relative_to(ROOT).as_posix()
        for path in files()
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    quoted = {path for path, quotes in QUOTED.items() if quotes == word}
    assert found == quoted, f"'{word}': write {WORDS[word]}"


def test_only_tests_of_real_data_and_reports_name_the_folder_outside_of_the_repository():
    found = {
        path.relative_to(ROOT).as_posix()
        for path in files()
        if "../shared" in path.read_text(encoding="utf-8")
    }
    assert not {path for path in found if not path.startswith("docs/reproduction/")}
