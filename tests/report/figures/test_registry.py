"""A figure that is entered is in the files, on the page and in the terminal, or in none."""

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.report.figures import registry, style
from cascade_exp.report.figures.registry import PLACES, all_figures, figure, write_figures
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages.html import html_text
from cascade_exp.report.pages.results_table import print_results
from tests.evaluating import settings_of


@pytest.fixture
def entries(monkeypatch):
    """What is entered within the test is gone after it."""
    all_figures()
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


def bars(results, size):
    drawn = style.new_figure(size)
    drawn.add_subplot().bar([0], [1])
    return drawn


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_a_figure_is_shown_wherever_it_is_placed(
    results, tmp_path, capsys, entries, monkeypatch, place, folded
):
    monkeypatch.setattr(registry, "_ENTRIES", {})
    caption = "Seen on {report}."
    figure("brand_new", title="A new one", caption=caption, place=place, folded=folded)(bars)
    (path,) = write_figures(Findings(results), tmp_path)
    assert path == tmp_path / "plots" / "brand_new.png" and path.stat().st_size > 1000
    page = html_text(Findings(results), config_yaml="", command="")
    assert page.count('aria-label="A new one"') == (1 if folded else 2)
    assert "Seen on report." in page
    print_results(results, tmp_path)
    assert "1 pictures: brand_new." in capsys.readouterr().out


def test_an_unknown_place_and_a_second_name_are_refused(entries):
    with pytest.raises(CascadeError, match=r"place of figure x=fronts: .*did you mean 'front'"):
        figure("x", place="fronts", title="", caption="")
    with pytest.raises(ValueError, match="a second figure named frontier"):
        figure("frontier", place="front", title="", caption="")(bars)


def test_every_module_of_the_package_is_found_and_every_title_is_its_own():
    entries = all_figures()
    assert {"frontier", "deferral", "tier_comparison", "speed_ups", "methods"} <= {
        entry.name for entry in entries
    }
    assert len({entry.title for entry in entries}) == len(entries)


def test_pictures_come_in_the_formats_that_are_asked_for(results, tmp_path, entries, monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", {})
    figure("brand_new", title="A new one", caption="", place="front")(bars)
    heads = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for formats in (["png"], ["pdf"], ["svg", "pdf"], ["png", "pdf", "svg"]):
        shown = write_figures(Findings(results), tmp_path, formats)
        there = {path.suffix[1:]: path for path in (tmp_path / "plots").iterdir()}
        assert sorted(there) == sorted(formats)  # what an earlier one left is removed
        assert all(path.read_bytes().startswith(heads[kind]) for kind, path in there.items())
        assert [path.suffix for path in shown] == [".png"] * ("png" in formats)
        assert registry.written_figures(tmp_path) == ["brand_new"]
    first = {path.name: path.read_bytes() for path in (tmp_path / "plots").iterdir()}
    write_figures(Findings(results), tmp_path, ["png", "pdf"])
    assert (tmp_path / "plots" / "brand_new.pdf").read_bytes() == first["brand_new.pdf"]


@pytest.mark.parametrize(
    ("override", "formats"),
    [
        ("plots=true", ["png"]),
        ("plots=false", []),
        ("plots.format=svg", ["svg"]),
        ("plots.format=[pdf,png]", ["pdf", "png"]),
    ],
)
def test_plots_says_whether_and_how(override, formats):
    assert settings_of(override).plots == formats


@pytest.mark.parametrize("override", ["plots.format=jpg", "plots=7", "plots.format=[]"])
def test_other_formats_are_refused(override):
    with pytest.raises(CascadeError, match="plots"):
        settings_of(override)
