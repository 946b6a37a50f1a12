"""Recordings that can be read and are probably wrong: a warning that names model and figure."""

from pathlib import Path

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.write import write_data_warnings
from cascade_exp.report.pages.view import split_sentence
from cascade_exp.report.results.files import read_results, write_results
from tests.evaluating import settings_of as all_settings_of
from tests.evaluating import write_answers
from tests.recordings.making import make_recordings
from tests.running import run


def settings_of(*overrides: str):
    return all_settings_of("cost.column=macs", *overrides)


COSTS = {"small": 1.0, "base": 4.0, "large": 10.0}


def warnings_of(folder: Path, *overrides: str) -> list[str]:
    recordings = open_recordings(folder)
    return evaluate_recordings(
        recordings, settings_of("analyses=false", *overrides), {}
    ).results.warnings


@pytest.fixture
def folder(tmp_path) -> Path:
    make_recordings(tmp_path / "rec", COSTS, size=1500)
    return tmp_path / "rec"


def change(folder: Path, model: str, by) -> None:
    """Save ``by(logits, labels)`` as the model's logits on both splits."""
    for split in ("selection", "report"):
        file = folder / split / f"{model}.npy"
        np.save(file, by(np.load(file), np.load(folder / split / "labels.npy")))


def test_sound_recordings_have_no_warnings(folder):
    assert warnings_of(folder) == []


def test_what_was_wrong_with_the_data_is_shown_with_the_results(folder):
    write_data_warnings(
        folder, ["9 of 9 texts of report are in train, too", "class 'a\nb' has few"]
    )
    assert warnings_of(folder) == [
        "9 of 9 texts of report are in train, too",
        "class 'a b' has few",
    ]
    write_data_warnings(folder, [])
    assert warnings_of(folder) == []


def test_rows_of_other_examples_of_the_same_classes_are_noticed(folder):
    def shuffle(logits, labels):
        rng, moved = np.random.default_rng(0), logits.copy()
        for c in np.unique(labels):
            rows = np.flatnonzero(labels == c)
            moved[rows] = logits[rng.permutation(rows)]
        return moved

    change(folder, "base", shuffle)
    found = warnings_of(folder)
    assert len(found) == 2 and all("no more than the labels explain" in line for line in found)
    assert found[0].startswith("selection: ") and "base agrees" in found[0]


def test_another_order_of_the_classes_is_noticed_with_the_repaired_score(folder):
    right = np.load(folder / "report" / "base.npy").argmax(1)
    score = np.mean(right == np.load(folder / "report" / "labels.npy"))
    change(folder, "base", lambda logits, _: logits[:, [2, 0, 1]])
    (found,) = [line for line in warnings_of(folder) if line.startswith("report: base scores")]
    assert "below chance" in found and "classes in another order it would score about" in found
    said = float(found.split("it would score about ")[1].split("%")[0]) / 100
    assert said == pytest.approx(score, abs=0.05)


def test_rows_moved_by_one_are_noticed(folder):
    change(folder, "base", lambda logits, _: np.roll(logits, 1, axis=0))
    found = [line for line in warnings_of(folder) if "base scores" in line]
    assert len(found) == 2 and "rows moved by -1 it would score about" in found[0]


@pytest.mark.parametrize("inverted", [True, False])
def test_uncertainties_given_as_confidences_are_noticed(tmp_path, inverted):
    rng = np.random.default_rng(0)
    for split in ("selection", "report"):
        labels = rng.integers(3, size=400)
        right = rng.random(400) < 0.7
        sure = rng.random(400) * 0.5 + 0.5 * right
        prediction = np.where(right, labels, (labels + 1) % 3)
        write_answers(
            tmp_path, {"a": 1.0}, split, labels, {"a": (prediction, -sure if inverted else sure)}
        )
    found = warnings_of(tmp_path, "metric=recorded")
    assert len(found) == (2 if inverted else 0)
    assert all("AUROC" in line and "record its negative" in line for line in found)


def test_shared_repeated_and_classless_splits_are_noticed(folder):
    ids = np.random.default_rng(0).permutation(5000)
    np.save(folder / "selection" / "ids.npy", ids[:1500])
    np.save(folder / "report" / "ids.npy", ids[1500:3000])
    assert warnings_of(folder) == []
    shared = ids[1500:3000].copy()
    shared[:150], shared[-1] = ids[:150], shared[-2]
    np.save(folder / "report" / "ids.npy", shared)
    results = evaluate_recordings(
        open_recordings(folder), settings_of("analyses=false"), {}
    ).results
    found = results.warnings
    assert results.settings["shared_examples"] == 150
    assert "150 of which are in selection, too" in split_sentence(results)
    assert any(line.startswith("150 of 1500 examples of report are in selection") for line in found)
    assert any("ids come more than once" in line for line in found)
    for split in ("selection", "report"):  # numbers of rows say nothing across splits
        np.save(folder / split / "ids.npy", np.arange(1500))
    assert warnings_of(folder) == []
    np.save(folder / "report" / "labels.npy", np.full(1500, 2))
    np.save(folder / "selection" / "labels.npy", np.arange(1500) % 2)
    assert any("share no class" in line for line in warnings_of(folder))


def test_warnings_are_shown_once_and_kept(folder, tmp_path, capsys):
    change(folder, "base", lambda logits, _: np.roll(logits, 1, axis=0))
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={folder}", "logger=none", "bootstrap.resamples=10")
    said = capsys.readouterr().out
    assert said.count("Warning: report: base scores") == 1
    assert said.index("Warning:") < said.index("accuracy")
    results = read_results(job / "results")
    assert results.warnings and any("base scores" in line for line in results.warnings)
    page = (job / "results" / "report.html").read_text()
    assert page.count("Warning: report: base scores") == 1
    write_results(results, tmp_path / "again")
    assert read_results(tmp_path / "again").warnings == results.warnings


def test_votes_need_no_confidences_and_other_metrics_say_so(tmp_path):
    rng = np.random.default_rng(0)
    costs = {"a": 1.0, "b": 1.0, "c": 9.0}
    for split in ("selection", "report"):
        labels = rng.integers(4, size=200)
        (tmp_path / split).mkdir()
        np.save(tmp_path / split / "labels.npy", labels)
        for name, right in zip(costs, (0.6, 0.7, 0.9), strict=True):
            wrong = rng.random(200) > right
            np.savez(
                tmp_path / split / f"{name}.answers.npz",
                prediction=np.where(wrong, (labels + 1) % 4, labels),
            )
    rows = "".join(f"{name},{cost}\n" for name, cost in costs.items())
    (tmp_path / "models.csv").write_text(f"name,macs\n{rows}")
    settings = settings_of("cascade=tiers", "cascade.tiers={low:[a,b],high:[c]}", "metric=vote")
    results = evaluate_recordings(open_recordings(tmp_path), settings, {}).results
    assert results.chosen and all(
        row.auroc is None and row.dis is None for row in results.reliability
    )
    with pytest.raises(CascadeError, match="no array 'confidence', which metric=recorded needs"):
        evaluate_recordings(open_recordings(tmp_path), settings_of("metric=recorded"), {})


def test_a_free_model_costs_nothing(folder, tmp_path):
    (folder / "models.csv").write_text("name,macs\nsmall,0\nbase,4.0\nlarge,10.0\n")
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={folder}", "logger=none", "bootstrap.resamples=10")
    results = read_results(job / "results")
    free = next(row for row in results.frontier if row.stages == ["small"])
    assert free.cost == 0 and free.improvement is None
    assert any(row.improvement for row in results.frontier)
    assert (job / "results" / "report.html").is_file()
