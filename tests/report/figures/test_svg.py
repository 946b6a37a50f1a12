import re
from xml.etree import ElementTree

import pytest

from cascade_exp.report.figures import evaluation as plots
from cascade_exp.report.figures import style
from cascade_exp.report.figures.svg import inline_svg


@pytest.fixture(scope="module")
def drawn(results):
    with style.house_style():
        figure = plots.frontier_figure(results, style.WIDE)
        tips = [f"row {i}: <{row.cost}>" for i, row in enumerate(results.frontier)]
        return inline_svg(figure, "one", "what it shows", {plots.FRONT_POINTS: tips}), tips


def test_it_is_one_element_that_refers_to_nothing_outside(drawn):
    root = ElementTree.fromstring(drawn[0])
    assert root.tag == "svg" and root.get("aria-label") == "what it shows"
    assert root.get("width") is None and root.get("viewBox")
    assert "http" not in drawn[0] and "xmlns" not in drawn[0]
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", drawn[0]))
    assert used == ids and all(name.startswith("one-") for name in ids)


def test_points_carry_their_tips_in_order(drawn):
    root = ElementTree.fromstring(drawn[0])
    found = [e.find("title").text for e in root.iter() if e.get("class") == "tip"]
    assert found == drawn[1]


def test_colours_are_the_pages_and_names_are_left_alone(make_results):
    blue = style.PALETTE["cascade"][0]
    results = make_results(models=((blue, 3.2, 1e6), ("font-family: x; <&>", 4.2, 4e6)))
    with style.house_style():
        svg = inline_svg(plots.frontier_figure(results, style.WIDE), "x", "y")
    texts = [element.text for element in ElementTree.fromstring(svg).iter("text")]
    assert blue in texts and "font-family: x; <&>" in texts
    styles = re.findall(r'style="([^"]*)"', svg)
    assert styles and not any(re.search(r"#[0-9a-f]{6}|DejaVu", look) for look in styles)
    assert "var(--cascade)" in svg and "var(--font)" in svg


def test_tips_that_do_not_fit_the_points_are_refused(results):
    with style.house_style():
        figure = plots.frontier_figure(results, style.WIDE)
        with pytest.raises(ValueError, match="2 tips for"):
            inline_svg(figure, "x", "y", {plots.FRONT_POINTS: ["a", "b"]})


def test_the_same_figure_gives_the_same_text(results):
    def once():
        with style.house_style():
            return inline_svg(plots.frontier_figure(results, style.WIDE), "x", "y")

    assert once() == once()
