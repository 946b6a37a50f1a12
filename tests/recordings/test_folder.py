"""Reading recordings: what is there is read as it is, and what is wrong is said in one line."""

from pathlib import Path

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import RecordedAnswers, open_recordings
from tests.recordings.making import make_recordings


def refusal(folder: Path, split: str = "selection", **pool) -> str:
    with pytest.raises(CascadeError) as refused:
        recordings = open_recordings(folder, **pool)
        recordings.costs("macs")
        recordings.split(split)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_reads_logits_as_they_lie_on_disk(tmp_path):
    logits = make_recordings(tmp_path, {"small": 1.0, "large": 10.0})
    recordings = open_recordings(tmp_path)
    split = recordings.split("report")
    assert recordings.names == ("small", "large")
    assert recordings.costs("macs").tolist() == [1.0, 10.0]
    assert split.classes == 3
    np.testing.assert_array_equal(split.outputs["large"], logits["report"]["large"])
    assert isinstance(split.outputs["large"], np.memmap)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_reads_every_float(tmp_path, dtype):
    make_recordings(tmp_path, {"a": 1.0}, dtype=dtype)
    assert open_recordings(tmp_path).split("selection").outputs["a"].dtype == dtype


def test_reads_black_boxes(tmp_path):
    make_recordings(tmp_path, {"api": 1.0})
    for split in ("selection", "report"):
        (tmp_path / split / "api.npy").unlink()
        np.savez(
            tmp_path / split / "api.answers.npz",
            prediction=np.arange(20) % 5,
            confidence=np.linspace(0, 1, 20),
        )
    split = open_recordings(tmp_path).split("report")
    answers = split.outputs["api"]
    assert isinstance(answers, RecordedAnswers) and split.classes is None
    assert answers.prediction.dtype == np.int64 and answers.confidence.dtype == np.float64


def test_narrows_the_pool_by_name_and_glob(tmp_path):
    make_recordings(tmp_path, {"a_1": 1.0, "a_2": 2.0, "b": 3.0})
    assert open_recordings(tmp_path, include="a_*").names == ("a_1", "a_2")
    assert open_recordings(tmp_path, exclude=["a_2"]).names == ("a_1", "b")
    assert "did you mean 'a_1'" in refusal(tmp_path, include="a-1")
    assert "leave no model" in refusal(tmp_path, exclude="*")


def test_a_model_left_out_needs_no_recording(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0})
    (tmp_path / "report" / "b.npy").unlink()
    assert "b.npy: missing" in refusal(tmp_path, "report")
    open_recordings(tmp_path, exclude="b").split("report")


def test_missing_folder_and_split(tmp_path):
    assert "no such folder" in refusal(tmp_path / "nowhere")
    make_recordings(tmp_path, {"a": 1.0})
    assert "did you mean 'selection'" in refusal(tmp_path, "selecton")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no column 'name'"),
        ("model,macs\na,1\n", "no column 'name'"),
        ("name,macs\n", "lists no model"),
        ("name,macs\na,1\na,2\n", "second model named a"),
        ("name,macs\na,1,2\n", "line 2 has 3 fields, expected 2"),
        ("name,macs\na,cheap\n", "macs='cheap'"),
        ("name,macs\na,-3\n", "0 or more"),
        ("name,macs\na,nan\n", "0 or more"),
        ("name,macs\na,\n", "has no 'macs'"),
        ("name,params\na,1\n", "has no 'macs'"),
        ("name,macs,macs\na,1,1\n", "same column twice"),
        ("name,macs\nb/c,1\n", "holds '/'"),
        ("name,macs\nlabels,1\n", "reserved"),
        ("name,macs\na>b,1\n", "holds '>'"),
    ],
)
def test_bad_tables(tmp_path, table, said):
    make_recordings(tmp_path, {"a": 1.0})
    (tmp_path / "models.csv").write_text(table)
    message = refusal(tmp_path)
    assert said in message and "models.csv" in message


def test_parentheses_and_spaces_are_names(tmp_path):
    make_recordings(tmp_path, {"BEiT (large) 224": 1.0})
    assert open_recordings(tmp_path).split("report").outputs["BEiT (large) 224"].shape == (20, 3)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: _truncate(f / "a.npy"), "truncated"),
        (lambda f: (f / "a.npy").write_bytes(b""), "truncated"),
        (lambda f: (f / "a.npy").write_bytes(b"hello"), "no .npy array of numbers"),
        (lambda f: np.save(f / "a.npy", np.zeros((19, 3), np.float32)), "19 rows for model a"),
        (lambda f: np.save(f / "a.npy", np.zeros((20, 4), np.float32)), "a has 4; all models"),
        (lambda f: np.save(f / "a.npy", np.zeros(20, np.float32)), "shape [N, K]"),
        (lambda f: np.save(f / "a.npy", np.zeros((20, 3), np.int64)), "int64"),
        (
            lambda f: np.save(f / "a.npy", np.array([{}]), allow_pickle=True),
            "no .npy array of numbers",
        ),
        (lambda f: np.save(f / "labels.npy", np.full(20, 3)), "row 0 has label 3; expected 0..2"),
        (lambda f: np.save(f / "labels.npy", np.full(20, -1)), "row 0 has label -1"),
        (lambda f: np.save(f / "labels.npy", np.zeros(0, np.int64)), "empty"),
        (lambda f: np.save(f / "labels.npy", np.zeros(20)), "expected int64"),
        (lambda f: np.save(f / "ids.npy", np.arange(7)), "7 ids, expected 20"),
        (lambda f: (f / "labels.npy").unlink(), "labels.npy: missing"),
        (lambda f: np.savez(f / "a.answers.npz", prediction=[1], confidence=[1.0]), "keep one"),
    ],
)
def test_bad_arrays(tmp_path, spoil, said):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0})
    spoil(tmp_path / "selection")
    message = refusal(tmp_path)
    assert said in message and str(tmp_path / "selection") in message


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"confidence": np.zeros(20)}, "no array 'prediction'"),
        ({"prediction": np.zeros(19, int), "confidence": np.zeros(20)}, "expected [20]"),
        ({"prediction": np.full(20, -2), "confidence": np.zeros(20)}, "row 0"),
        ({"prediction": np.zeros(20, int), "confidence": np.full(20, np.nan)}, "finite"),
        ({"prediction": np.full(20, 0.5), "confidence": np.zeros(20)}, "an integer"),
    ],
)
def test_bad_answers(tmp_path, arrays, said):
    make_recordings(tmp_path, {"a": 1.0})
    (tmp_path / "selection" / "a.npy").unlink()
    np.savez(tmp_path / "selection" / "a.answers.npz", **arrays)
    assert said in refusal(tmp_path)


def test_truncated_answers(tmp_path):
    make_recordings(tmp_path, {"a": 1.0})
    (tmp_path / "selection" / "a.npy").unlink()
    archive = tmp_path / "selection" / "a.answers.npz"
    np.savez(archive, prediction=np.zeros(20, int), confidence=np.zeros(20))
    archive.write_bytes(archive.read_bytes()[:100])
    assert "truncated" in refusal(tmp_path)


@pytest.mark.parametrize("split", ["selection", "report"])
@pytest.mark.parametrize("stray", ["c.npy", "c.answers.npz"])
def test_a_recording_that_no_row_lists_is_named(tmp_path, split, stray):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0})
    (tmp_path / split / stray).write_bytes((tmp_path / split / "a.npy").read_bytes())
    said = refusal(tmp_path, split)
    assert f"{stray}: models.csv lists no model 'c'" in said
    assert said == refusal(tmp_path, split, include="a")


def test_an_empty_cell_is_no_typing_error(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0})
    (tmp_path / "models.csv").write_text("name,macs\na,1.0\nb,\n")
    with pytest.raises(CascadeError, match="model b has no 'macs'") as raised:
        open_recordings(tmp_path).costs("macs")
    assert "did you mean" not in str(raised.value)
