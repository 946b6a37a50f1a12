import dataclasses
import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.results_table import print_results

FOLDER = Path("/somewhere/outputs/2026-01-01/12-00-00/with_a_long_name_for_a_sweep/results")


def printed(results, width=80, folder=FOLDER, **console):
    out = io.StringIO()
    print_results(results, folder, Console(file=out, width=width, **console))
    return out.getvalue()


LONG = tuple(
    (f"vit_small_patch16_224.augreg_in21k_ft_in1k_{i}", 3 + i / 5, 1e8 * 1.4**i) for i in range(4)
)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("models", [None, LONG], ids=["short", "long"])
@pytest.mark.parametrize("metric", ["max_softmax", "entropy"])
def test_only_paths_are_wider_than_the_terminal(make_results, width, models, metric):
    results = make_results(metric=metric, **({"models": models} if models else {}))
    names = [model.name for model in results.single_models]
    for line in printed(results, width).splitlines():
        whole = FOLDER.as_posix() in line or any(name in line for name in names)
        assert cell_len(line.rstrip()) <= width or whole, line


def test_every_operating_point_is_printed_with_its_numbers(results):
    text = printed(results)
    for rule, point in results.operating_points.items():
        assert rule in text
        if not point.feasible:
            assert f"cannot be met: {point.reason}" in text
            continue
        measured = point.report
        low, high = measured.score_interval
        assert f"{100 * measured.score:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" in text
        assert numbers.cost(measured.cost, "macs").replace(numbers.SPACE, " ") in text
        factor = view.best_single(results).report.cost / measured.cost
        assert f"({factor:.2f}×)" in text
        for stage in view.stages(results, point):
            assert f"{100 * stage.exits:.1f} %" in text
            assert stage.leaves in text
    for model in results.single_models:
        assert f"{model.name}     {100 * model.report.score:.1f} %" in text


def test_what_was_written_is_pointed_at_and_nothing_else(results, tmp_path):
    assert printed(results).endswith(f"results {FOLDER}\n")
    (tmp_path / "report.html").touch()
    assert f"report  {tmp_path / 'report.html'}\n" in printed(results, folder=tmp_path)
    (tmp_path / "plots").mkdir()
    text = printed(results, folder=tmp_path)
    assert f"plots   {tmp_path / 'plots'}\n" in text and "results " not in text


def test_a_pipe_gets_no_escape_codes_and_a_terminal_does(results):
    assert "\x1b" not in printed(results)
    assert "\x1b[" in printed(results, force_terminal=True, color_system="standard")


def test_names_are_never_taken_for_markup(make_results):
    results = make_results(models=(("[red]a", 3.2, 1e6), ("[/]:smile:", 4.2, 9e6)))
    text = printed(results)
    assert "[red]a > [/]:smile:" in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_without_the_signs_does_not_end_the_job(results, encoding):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    print_results(results, FOLDER, Console(file=file, width=80))
    file.flush()
    text = raw.getvalue().decode(encoding)
    assert "max softmax >= " in text and "?" not in text


def test_what_a_reader_must_know_is_printed(make_results, results):
    assert "these numbers are optimistic" in " ".join(
        printed(make_results(same_split=True)).split()
    )
    point = results.operating_points["match_accuracy"]
    lost = dataclasses.replace(
        point, report=dataclasses.replace(point.report, improvement=0.8), rule="match_accuracy"
    )
    text = printed(dataclasses.replace(results, operating_points={"match_accuracy": lost}))
    assert "improvement is selection-only: 1.42× there, 0.80× on report" in " ".join(text.split())


def test_a_pool_of_one_model(make_results):
    text = printed(make_results(models=(("only", 4.0, 1e6),), size=50))
    assert "No cascade was chosen: only alone, the best model on selection" in text
    assert "answers if" not in text
