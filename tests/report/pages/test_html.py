import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser

import matplotlib.image
import pytest

from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.html import html_text, write_html

VOID = {"meta", "br", "wbr", "hr", "img", "input", "link"}
CONFIG = "metric:\n  name: max_softmax\nnote: <script>alert(1)</script>\n"
COMMAND = "uv run evaluate.py 'cascade.tiers={edge:[a,b]}' metric=max_softmax"


class Page(HTMLParser):
    """A page read strictly: every tag is closed in its turn, ids are unique."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.attributes, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
        if tag not in ("b", "i", "code", "span"):
            self.texts.append(" ")

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).replace(numbers.SPACE, " ").split())


def page(results):
    return html_text(Findings(results), config_yaml=CONFIG, command=COMMAND)


@pytest.fixture(scope="module")
def text(results):
    return page(results)


def test_the_page_is_whole_and_asks_for_nothing(text):
    read = Page(text)
    assert not re.search(r"https?://|//[a-z]", text.replace("// The tooltip", ""))
    for tag, key, value in read.attributes:
        if key in ("href", "src", "srcset", "xlink:href"):
            assert value.startswith("#"), (tag, key, value)
    assert not {"link", "img", "iframe", "object", "embed"} & set(read.tags)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    assert len(text.encode()) < 300_000


def test_every_operating_point_is_shown(results, text):
    read = Page(text).text
    for rule, point in results.operating_points.items():
        assert rule in read
        if not point.feasible:
            assert point.reason in read
            continue
        assert ">".join(point.stages) in read
        for threshold in point.thresholds:
            assert f"max softmax ≥ {numbers.threshold(threshold)}" in read
        measured = point.report
        low, high = measured.score_interval
        assert f"{100 * measured.score:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" in read
        assert numbers.cost(measured.cost, "macs").replace(numbers.SPACE, " ") in read
        assert f"{measured.improvement:.2f}×" in read
        for rate in (*measured.exit_rates, *point.selection.exit_rates):
            assert f"{100 * rate:.1f} %" in read
    for model in results.single_models:
        low, high = model.report.score_interval
        row = f"{model.name} {100 * model.report.score:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        assert row in read


def test_every_drawn_point_says_what_it_is(results, text):
    tips = ["".join(found) for found in re.findall(r"<title>([^<]*)</title></(?:use|path)>", text)]
    rows = [tip for tip in tips if "selection: " in tip]
    assert len(rows) == 2 * len(results.frontier)  # a wide and a narrow picture
    row = results.frontier[len(results.frontier) // 2]
    expected = view.front_label(results, row)
    assert any(tip.replace("&gt;", ">").splitlines() == expected for tip in rows)


def test_what_it_takes_to_do_it_again_is_on_the_page(results, text):
    read = Page(text)
    assert COMMAND in "".join(read.texts) and CONFIG.rstrip() in "".join(read.texts)
    assert "Thresholds were chosen on selection (400 examples)" in read.text
    assert f"numpy {results.environment['numpy']}" in read.text
    assert "cost.column macs" in read.text


def test_names_are_escaped_everywhere(make_results):
    results = make_results(models=(("<b>&amp;", 3.2, 1e6), ("</script><i>\"'", 4.2, 4e6)))
    read = Page(page(results))
    assert "<b>&amp;" in read.text and "</script><i>\"'" in read.text
    assert read.tags.count("script") == 1


def test_a_single_chosen_model_and_no_choice_at_all(make_results, results):
    alone = Page(page(make_results(models=(("only", 4.0, 1e6),), size=50))).text
    assert "No cascade was chosen" in alone and "The chosen cascade" not in alone
    none = dataclasses.replace(
        results,
        chosen=None,
        learned={},
        sweep_curve=None,
        operating_points={"target_cost": results.operating_points["target_cost"]},
    )
    refused = Page(page(none)).text
    assert "No rule could be met" in refused and "Single models" in refused


def test_other_settings_are_said(make_results):
    same = Page(page(make_results(same_split=True))).text
    assert "chosen and measured on the same split" in same
    tier = Page(page(make_results(accounting="exit_tier"))).text
    assert "Costs count only the tier that answered" in tier
    three = make_results(size=150, max_stages=3)
    assert max(len(p.stages) for p in three.operating_points.values()) == 3
    assert "then max softmax ≥" in Page(page(three)).text


def test_a_long_front_stays_a_small_page(results):
    rows = [
        dataclasses.replace(results.frontier[i % 30], cost=1e6 * (1 + i), score=i / 4000)
        for i in range(3000)
    ]
    text = page(dataclasses.replace(results, frontier=rows))
    assert "at most 240 of them" in Page(text).text
    assert text.count("selection: ") == 2 * 240
    assert len(text.encode()) < 500_000


def test_it_is_written_whole_and_twice_the_same(results, text, tmp_path):
    path = tmp_path / "results" / "report.html"
    write_html(Findings(results), path, config_yaml=CONFIG, command=COMMAND)
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it(results, tmp_path, width):
    path, shot = tmp_path / "report.html", tmp_path / "shot.png"
    write_html(Findings(results), path, config_yaml=CONFIG, command=COMMAND)
    # The title says what the page found out about itself; nothing may be wider than the screen.
    probe = (
        "<script>document.title = [document.documentElement.scrollWidth, innerWidth,"
        "document.querySelectorAll('svg .tip').length].join(' ')</script></body>"
    )
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    chromium = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},2000",
    ]  # fmt: skip
    dumped = subprocess.run(
        [*chromium, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    wide, screen, tips = map(int, re.search(r"<title>([\d ]+)</title>", dumped.stdout)[1].split())
    assert wide <= max(screen, width)
    feasible = sum(p.feasible for p in results.operating_points.values())
    assert tips == 2 * (len(results.frontier) + len(results.single_models) + feasible)
    subprocess.run(
        [*chromium, f"--screenshot={shot}", path.as_uri()], capture_output=True, timeout=120,
        check=True,
    )  # fmt: skip
    picture = matplotlib.image.imread(shot)
    assert picture.std() > 0.05
