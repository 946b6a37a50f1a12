"""Writing recordings: content-keyed, whole or absent, real files."""

import json
import multiprocessing

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
from tests.recordings.making import make_recordings

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


def test_recordings_of_an_earlier_job_in_the_folder_go(tmp_path):
    make_recordings(tmp_path, {"a.1": 1.0, "a.2": 2.0})
    for split in ("selection", "report"):
        (tmp_path / split / "a.2.json").write_text("{}")
        (tmp_path / split / "a.1.json").write_text("{}")
    write_models(tmp_path, {"a.1": {"macs": 1.0}})
    assert list(open_recordings(tmp_path).split("report").outputs) == ["a.1"]
    left = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert left == ["a.1.json", "a.1.npy", "labels.npy"]


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


def test_parts_wait_until_the_whole_is_there(tmp_path):
    store = RecordingStore(tmp_path)
    assert store.parts(KEY) == [] and not store.holds_part(KEY, "0-of-2")
    for name, rows in (("1-of-2", [3, 1]), ("0-of-2", [0, 2])):
        store.put_part(KEY, name, np.array(rows) + 10, LOGITS[rows])
        assert store.holds_part(KEY, name)
    (ids, logits), (other, _) = store.parts(KEY)
    assert ids.tolist() == [10, 12] and other.tolist() == [13, 11]
    np.testing.assert_array_equal(logits, LOGITS[[0, 2]])
    assert not store.holds(KEY)
    file = next(tmp_path.glob("*.parts/0-of-2.npz"))
    content = bytearray(file.read_bytes())
    content[content.index(LOGITS[0].tobytes())] ^= 1
    file.write_bytes(bytes(content))
    assert not store.holds_part(KEY, "0-of-2") and len(store.parts(KEY)) == 1
    file.write_bytes(content[:40])
    assert len(store.parts(KEY)) == 1
    store.put(KEY, LOGITS)
    assert store.holds(KEY) and store.parts(KEY) == []


def _put(folder, value):
    RecordingStore(folder).put(KEY, np.full((50_000, 3), value, dtype=np.float32))


def test_two_jobs_that_put_the_same_at_once_leave_a_whole_file(tmp_path):
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_put, args=(tmp_path, value)) for value in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    store = RecordingStore(tmp_path)
    assert store.holds(KEY) and len(np.unique(store.get(KEY))) == 1
    first = store.get(KEY)
    store.put(KEY, first + 1)  # kept is kept
    np.testing.assert_array_equal(store.get(KEY), first)
