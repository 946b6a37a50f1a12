"""Formats of one model's outputs: aligned by ids, probabilities, absent answers and choices."""

import io
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.outputs import RecordedAnswers, are_probabilities
from tests.evaluating import write_answers
from tests.recordings.making import make_recordings


@pytest.fixture
def folder(tmp_path) -> Path:
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0}, size=30)
    return tmp_path / "rec"


def split_of(folder: Path, absent: str = "defer"):
    return open_recordings(folder, absent=absent).split("report")


def ids_of(kind: str, size: int) -> np.ndarray:
    numbers = np.random.default_rng(3).permutation(1000)[:size]
    return numbers if kind == "integers" else np.array([f"AIME_{i}.png" for i in numbers])


@pytest.mark.parametrize("kind", ["integers", "text"])
def test_rows_are_aligned_by_their_ids(folder, kind):
    expected = np.array(split_of(folder).outputs["small"])
    ids, order = ids_of(kind, 30), np.random.default_rng(0).permutation(30)
    report = folder / "report"
    np.save(report / "ids.npy", ids)
    np.save(report / "small.ids.npy", ids[order])
    np.save(report / "small.npy", expected[order])
    found = split_of(folder)
    np.testing.assert_array_equal(found.outputs["small"], expected)
    assert found.ids is not None and found.ids.tolist() == ids.tolist()
    # more rows than the split has are left out, and said
    np.save(report / "small.ids.npy", np.append(ids[order], ids_of(kind, 31)[-1:]))
    np.save(report / "small.npy", expected[np.append(order, 0)])
    found = split_of(folder)
    np.testing.assert_array_equal(found.outputs["small"], expected)
    assert "1 rows are of examples that the split does not have" in found.notes[0]


def test_integers_and_their_texts_are_the_same_ids(folder):
    expected = np.array(split_of(folder).outputs["small"])
    np.save(folder / "report" / "ids.npy", np.arange(30))
    np.save(folder / "report" / "small.ids.npy", np.arange(30)[::-1].astype(str))
    np.save(folder / "report" / "small.npy", expected[::-1])
    np.testing.assert_array_equal(split_of(folder).outputs["small"], expected)


def test_answers_carry_their_ids(tmp_path):
    labels, order = np.arange(20) % 3, np.random.default_rng(0).permutation(20)
    write_answers(tmp_path, {"a": 1.0}, "report", labels, {})
    np.save(tmp_path / "report" / "ids.npy", np.array([f"q{i}" for i in range(20)]))
    np.savez_compressed(
        tmp_path / "report" / "a.answers.npz",
        prediction=labels[order],
        confidence=order / 20,
        ids=np.array([f"q{i}" for i in order]),
    )
    found = split_of(tmp_path).outputs["a"]
    assert isinstance(found, RecordedAnswers) and found.confidence is not None
    assert found.prediction.tolist() == labels.tolist()
    assert found.confidence.tolist() == (np.arange(20) / 20).tolist()


@pytest.mark.parametrize(
    ("ids", "own", "said"),
    [
        (None, range(30), "ids.npy: missing; small.ids.npy gives the example"),
        (range(30), [*range(29), 0], "small.ids.npy: id 0 more than once"),
        ([*range(29), 0], range(30), "ids.npy: id 0 more than once"),
        (range(30), range(1, 31), "small.ids.npy: 1 of 30 examples .* the first with id 0"),
        (range(30), np.arange(30.0), "small.ids.npy: float64 .* expected integers or text"),
    ],
)
def test_ids_that_do_not_fit_are_refused(folder, ids, own, said):
    if ids is not None:
        np.save(folder / "report" / "ids.npy", np.array(ids))
    np.save(folder / "report" / "small.ids.npy", np.array(own))
    with pytest.raises(CascadeError, match=said):
        split_of(folder)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_as_logits_are_refused_and_have_a_file_of_their_own(folder, dtype):
    file = folder / "report" / "small.npy"
    p = softmax(np.load(file).astype(np.float64)).astype(dtype)
    np.save(file, p)
    with pytest.raises(CascadeError, match=r"small\.npy: probabilities .*small\.probabilities\."):
        split_of(folder)
    file.rename(folder / "report" / "small.probabilities.npy")
    found = split_of(folder)
    np.testing.assert_allclose(softmax(found.outputs["small"]), p, atol=1e-3)
    assert found.file_of("small").name == "small.probabilities.npy"
    p[3] = 0.5
    np.save(folder / "report" / "small.probabilities.npy", p)
    with pytest.raises(CascadeError, match="row 3 is no distribution"):
        split_of(folder)


@given(st.integers(2, 6), st.integers(1, 200), st.booleans())
@settings(max_examples=50)
def test_only_distributions_in_every_row_are_probabilities(classes, size, broken):
    rng = np.random.default_rng(size)
    p = rng.dirichlet(np.ones(classes), size)
    if broken:
        p[-1] *= 1.5
    assert are_probabilities(p) == (not broken)
    assert not are_probabilities(rng.normal(0, 1, (size, classes)) - 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_absent_choices_have_probability_0_at_every_temperature(folder, dtype):
    file = folder / "report" / "small.npy"
    logits = np.load(file).astype(dtype)
    logits[::3, 2] = -np.inf
    np.save(file, logits)
    found = np.asarray(split_of(folder).outputs["small"], dtype=np.float64)
    assert np.isfinite(found).all()
    for temperature in (0.01, 1.0, 100.0):
        assert (softmax(found / temperature)[::3, 2] == 0).all()
    with np.errstate(invalid="ignore"):
        kept = np.isfinite(logits)
    np.testing.assert_array_equal(found[kept], logits[kept].astype(np.float64))
    logits[4] = -np.inf
    np.save(file, logits)
    with pytest.raises(CascadeError, match="row 4 is -inf throughout"):
        split_of(folder)


def answered(tmp_path, prediction, confidence) -> Path:
    write_answers(tmp_path, {"a": 1.0}, "report", [0, 1, 2, 0], {"a": (prediction, confidence)})
    return tmp_path


@pytest.mark.parametrize("missing", [-1, np.nan])
@pytest.mark.parametrize("confidence", [0.9, np.nan])
def test_absent_answers_are_wrong_and_deferred(tmp_path, missing, confidence):
    folder = answered(tmp_path, [0, missing, 2, 0], [0.5, confidence, 0.7, 0.6])
    found = split_of(folder).outputs["a"]
    assert found.prediction[1] > 2 and found.prediction[[0, 2, 3]].tolist() == [0, 2, 0]
    assert found.confidence[1] < 0.5 and found.confidence[1] >= 0
    kept = split_of(folder, absent="wrong").outputs["a"]
    assert kept.prediction.tolist() == found.prediction.tolist()
    assert kept.confidence[1] == (0.9 if confidence == 0.9 else found.confidence[1])
    with pytest.raises(CascadeError, match=r"answers\.absent=skip: expected one of defer, wrong"):
        open_recordings(folder, absent="skip")


def test_absent_answers_of_two_models_never_agree(tmp_path):
    both = ([-1, -1], [0.1, 0.2])
    write_answers(tmp_path, {"a": 1.0, "b": 2.0}, "report", [0, 1], {"a": both, "b": both})
    found = split_of(tmp_path).outputs
    assert not (found["a"].prediction == found["b"].prediction).any()


@pytest.mark.parametrize("prediction", [[0, -2, 1, 1], [0, 0.5, 1, 1], [0, np.inf, 1, 1]])
def test_other_predictions_are_refused(tmp_path, prediction):
    with pytest.raises(CascadeError, match="row 1 of model a has prediction"):
        split_of(answered(tmp_path, prediction, [0.1] * 4))


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (lambda p: np.savez(p / "small.npz", logits=np.zeros((30, 3))), r"small\.npz lies there"),
        (lambda p: (p / "small.pt").write_bytes(b"x"), r"np\.save\('small\.npy', torch\.load"),
    ],
)
def test_other_formats_are_named_with_their_conversion(folder, save, said):
    (folder / "report" / "small.npy").unlink()
    save(folder / "report")
    with pytest.raises(CascadeError, match=said):
        split_of(folder)


def test_one_logit_per_example_is_refused_with_what_to_do(folder):
    np.save(folder / "report" / "small.npy", np.zeros((30, 1), np.float32))
    with pytest.raises(CascadeError, match=r"small\.npy: one column .*np\.stack"):
        split_of(folder)


HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-30, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 3), }",
    "{'descr': 'O', 'fortran_order': False, 'shape': (30, 3), }",
    "{'descr': [('a', '<f4', (1000000,))], 'fortran_order': False, 'shape': (30, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 3)",
    "'''",
    "(" * 500,
    "",
]


def npy(header: str, content: bytes = b"\0" * 400) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize("name", ["small.npy", "labels.npy", "ids.npy", "small.ids.npy"])
@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_odd_headers_are_one_line(folder, name, header):
    (folder / "report" / name).write_bytes(npy(header))
    with pytest.raises(CascadeError) as error:
        split_of(folder)
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_odd_members_are_one_line(tmp_path, header):
    folder = answered(tmp_path, [0, 1, 2, 0], [0.1] * 4)
    good = io.BytesIO()
    np.save(good, np.zeros(4, np.int64))
    with zipfile.ZipFile(folder / "report" / "a.answers.npz", "w") as archive:
        archive.writestr("prediction.npy", npy(header))
        archive.writestr("confidence.npy", good.getvalue())
    with pytest.raises(CascadeError, match=r"a\.answers\.npz"):
        split_of(folder)


def test_members_that_are_no_arrays_and_a_bomb_are_refused_at_once(tmp_path):
    folder = answered(tmp_path, [0, 1, 2, 0], [0.1] * 4)
    file = folder / "report" / "a.answers.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("prediction", b"0123")
        archive.writestr("confidence", b"0123")
    with pytest.raises(CascadeError, match="no array 'prediction'"):
        split_of(folder)
    size = 1 << 25  # 256 MB of zeros in some hundred kB
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({size},), }}"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("prediction.npy", "w") as member,
    ):
        member.write(npy(header, b""))
        for _ in range(size * 8 >> 20):
            member.write(bytes(1 << 20))
    began = time.process_time()
    with pytest.raises(CascadeError, match=r"shape \[33554432\], expected \[4\]"):
        split_of(folder)
    assert time.process_time() - began < 1


@given(st.data())
@settings(max_examples=150)
def test_damaged_files_are_one_line_or_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    answered(folder, [0, 1, 2, 0], [0.1, 0.2, 0.3, 0.4])
    name = data.draw(st.sampled_from(["a.answers.npz", "labels.npy"]))
    file = folder / "report" / name
    whole = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        split_of(folder)
    except CascadeError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["labels", "ids", "small"])
def test_a_flipped_bit_is_noticed_where_a_checksum_is_stored(folder, name):
    import json

    from cascade_exp.atomic import sha256_of

    report = folder / "report"
    np.save(report / "ids.npy", np.arange(30))
    file = report / f"{name}.npy"
    (report / f"{name}.json").write_text(json.dumps({"sha256": sha256_of(file)}))
    split_of(folder)
    whole = bytearray(file.read_bytes())
    whole[-3] ^= 1
    file.write_bytes(whole)
    with pytest.raises(CascadeError, match=rf"{name}\.npy: damaged or changed"):
        split_of(folder)
    (report / f"{name}.json").write_text("[]")
    with pytest.raises(CascadeError, match=rf"{name}\.json: expected a JSON object"):
        split_of(folder)
