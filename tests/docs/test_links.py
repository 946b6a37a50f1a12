"""Every reference that a file makes to another one leads somewhere, in a bare clone too."""

import re
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, tracked

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CITED = re.compile(r"\b(docs/\w[\w./-]*\.md)(?:#([\w-]+))?")


PAGES = tracked("*.md")
TEXTS = tracked("*.py", "*.md", "*.yaml", "*.toml", "Makefile", ".ci/run")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of ``page``."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def check(target: Path, anchor: str, where: str) -> None:
    assert target.exists(), f"{where}: {target} is not there"
    if anchor:
        assert anchor in anchors(target), f"{where}: {target} has no section #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        check((page.parent / name).resolve() if name else page, anchor, str(page))


def test_pages_cited_in_code_are_there():
    for path in TEXTS:
        if path.suffix != ".md":
            for name, anchor in CITED.findall(path.read_text()):
                check(ROOT / name, anchor, str(path))


def test_no_file_cites_what_lies_outside_of_the_repository():
    outside = re.compile(r"\bDESIGN\b|\bNOTES\b")
    for path in TEXTS:
        if path != Path(__file__):
            found = outside.search(path.read_text())
            assert not found, f"{path} cites {found}: cite docs/definitions.md"
