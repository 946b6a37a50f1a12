"""A matplotlib figure as a piece of an HTML page: inline SVG in the page's colours and type.

The SVG carries no size, no font and no reference to anything outside itself; colours become the
CSS variables of ``style.PALETTE``, so that light and dark pages need one picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from cascade_exp.report.figures.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([^)\"']+)")
_FONT_FAMILY = re.compile(r"font-family: [^;]+")
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")


def inline_svg(
    figure: Figure, prefix: str, label: str, tips: Mapping[str, Sequence[str]] | None = None
) -> str:
    """``figure`` as an ``<svg>`` element for an HTML page.

    ``prefix`` keeps its ids apart from other figures' on the page; ``label`` says what it shows to
    those who cannot see it. ``tips`` gives, by gid of a scatter, one text per point in its order:
    they become ``<title>`` elements.

    Raises:
        ValueError: if a scatter's number of points is not that of its tips.
    """
    from cascade_exp.report.figures import layout

    # Parsed text is written by matplotlib; nothing foreign is parsed here.
    root = ElementTree.fromstring(layout.svg(figure))
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
        if _HREF in element.attrib:
            element.set("href", element.attrib.pop(_HREF))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    for gid, texts in (tips or {}).items():
        _add_tips(root, gid, texts)
    _rename_ids(root, prefix)
    for element in root.iter():
        _take_page_style(element)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _add_tips(root: ElementTree.Element, gid: str, texts: Sequence[str]) -> None:
    groups = [element for element in root.iter("g") if element.get("id") == gid]
    defined = {path for group in groups for defs in group.iter("defs") for path in defs.iter()}
    # matplotlib writes a marker it draws often as <use>, one it draws once as <path>.
    points = [
        point
        for group in groups
        for point in group.iter()
        if point.tag in ("use", "path") and point not in defined
    ]
    if len(points) != len(texts):
        raise ValueError(f"{gid}: {len(texts)} tips for {len(points)} points")
    for point, text in zip(points, texts, strict=True):
        point.set("class", "tip")
        ElementTree.SubElement(point, "title").text = text


def _rename_ids(root: ElementTree.Element, prefix: str) -> None:
    """Prefix the ids that are referred to; drop the others."""
    elements = list(root.iter())
    used = {
        name
        for element in elements
        for key in ("href", "clip-path")
        for name in _REFERENCE.findall(element.get(key, ""))
    }
    for element in elements:
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}-{name}")
        for key in ("href", "clip-path"):
            if key in element.attrib:
                element.set(key, _REFERENCE.sub(rf"#{prefix}-\1", element.attrib[key]))


def _take_page_style(element: ElementTree.Element) -> None:
    """Colours as variables, the page's font, hundredths of a point, no white space of layout."""
    look = _FONT_FAMILY.sub("font-family: var(--font)", element.get("style", ""))
    for role, (light, _) in PALETTE.items():
        look = look.replace(light, f"var(--{role})")
    if look:
        element.set("style", look)
    for key in ("d", "x", "y", "transform"):
        if key in element.attrib:
            element.set(key, _LONG_NUMBER.sub(r"\1", element.attrib[key]))
    element.tail = None
    if element.tag not in ("text", "title", "tspan"):
        element.text = None
