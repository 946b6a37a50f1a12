"""report.html in a real headless Chromium: it keeps quiet, fits, and answers the pointer."""

import pytest

from cascade_exp.report.findings import Findings
from cascade_exp.report.pages.html import write_html
from tests.evaluating import evaluated
from tests.recordings.making import make_recordings
from tests.report.chromium import opened

POINTED = """
const shown = [...document.querySelectorAll('figure > div')].filter((d) => d.offsetParent);
const svg = shown.map((d) => d.querySelector('svg')).find((s) => s.querySelector('.tip'));
const points = [...svg.querySelectorAll('.tip')];
const tips = points.map((p) => {
  const box = p.getBoundingClientRect();
  const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true };
  p.dispatchEvent(new PointerEvent('pointermove', at));
  const inside = tip.getBoundingClientRect();
  return [tip.hidden ? null : tip.textContent, inside.left >= 0 && inside.right <= innerWidth];
});
svg.dispatchEvent(new PointerEvent('pointerleave'));
return { tips, hidden: tip.hidden, wide: document.documentElement.scrollWidth <= innerWidth,
  headings: [...document.querySelectorAll('h2, h3')].map((h) => h.textContent),
  pictures: [...document.images].map((i) => i.naturalWidth) };
"""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    make_recordings(folder / "rec", {"small": 1.0, "large": 10.0}, size=120, seed=3)
    evaluation, analyses = evaluated(folder / "rec", "threshold.rules=[max_improvement]")
    assert analyses.cascade is not None and analyses.cascade.early_errors
    write_html(
        Findings(evaluation.results, analyses),
        folder / "report.html",
        config_yaml="metric: x",
        command="uv run evaluate.py",
        preview=lambda example: PIXEL if example % 2 else f"<b>text</b> of {example}",
    )
    return folder / "report.html"


@pytest.mark.parametrize("size", [(1100, 900), (500, 900)])
def test_the_page_in_a_browser(page, size):
    shown = opened(page, POINTED, size)
    assert shown.console == []
    tips = [text for text, _ in shown.found["tips"]]
    assert len(tips) > 3 and all(tips) and all(inside for _, inside in shown.found["tips"])
    assert any("small>large" in text and "answers if" in text for text in tips)
    assert shown.found["hidden"] and shown.found["wide"]
    assert {"Exits by class", "Left early, and wrong", "The chosen cascade"} <= set(
        shown.found["headings"]
    )
    assert set(shown.found["pictures"]) <= {1}


def test_an_examples_text_is_escaped(page):
    text = page.read_text()
    assert "&lt;b&gt;text" in text and "<b>text" not in text
