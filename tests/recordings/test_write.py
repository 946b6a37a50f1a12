"""Writing recordings: content-keyed, whole or absent, real files."""

import json

import numpy as np
import pytest

from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.write import (
    ContentKey,
    RecordingStore,
    code_revision,
    save_array,
    write_labels,
    write_models,
)

KEY = ContentKey(weights="w", data="d", code="c")
LOGITS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_what_is_written_is_read(tmp_path):
    store = RecordingStore(tmp_path / "store")
    store.put(KEY, LOGITS)
    job = tmp_path / "job"
    for split in ("selection", "report"):
        write_labels(job / split, np.array([0, 1, 2, 0]), np.array([4, 5, 6, 7]))
        store.place(KEY, job / split / "a.npy", {"macs": {"counter": "x"}})
    write_models(job, {"a": {"macs": 5, "params": 3.0, "layers": 1}})
    recordings = open_recordings(job)
    split = recordings.split("report")
    np.testing.assert_array_equal(split.outputs["a"], LOGITS)
    assert recordings.models[0].costs == {"macs": 5, "params": 3, "layers": 1}
    beside = json.loads((job / "report" / "a.json").read_text())
    assert beside["key"] == KEY.digest() and beside["macs"] == {"counter": "x"}
    assert (job / "report" / "a.npy").is_file() and not (job / "report" / "a.npy").is_symlink()


def test_the_store_knows_its_keys_and_damaged_files(tmp_path):
    store = RecordingStore(tmp_path)
    assert not store.holds(KEY)
    store.put(KEY, LOGITS)
    assert store.holds(KEY)
    for other in (
        ContentKey("x", "d", "c"),
        ContentKey("w", "x", "c"),
        ContentKey("w", "d", "x"),
    ):
        assert not store.holds(other)
    file = next(tmp_path.glob("*.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert not store.holds(KEY)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.npy"
    save_array(path, LOGITS)
    with pytest.raises(ValueError):
        save_array(path, np.array([{}], dtype=object))
    np.testing.assert_array_equal(np.load(path), LOGITS)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_the_code_revision_is_one_digest():
    assert code_revision() == code_revision() and len(code_revision()) == 64
