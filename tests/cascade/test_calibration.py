from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade import rows
from cascade_exp.cascade.calibration import fit_temperature, mean_nll
from cascade_exp.errors import CascadeError
from tests.oracles import calibration as oracle

RECORDINGS = Path(__file__).parents[2] / "../shared/data/recordings/cifar10_jpeg_resnets"


@st.composite
def recordings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size, classes = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    scale = draw(st.sampled_from([0.0, 0.05, 1.0, 6.0, 80.0]))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    logits = (rng.standard_normal((size, classes)) * scale).astype(dtype)
    labels = np.where(rng.random(size) < 0.7, logits.argmax(1), rng.integers(0, classes, size))
    return logits, labels.astype(np.int64)


@given(recordings())
@settings(max_examples=80, deadline=None)
def test_no_temperature_of_a_grid_is_better(recording):
    logits, labels = recording
    fitted = fit_temperature(logits, labels)
    on_grid, its_nll = oracle.best_of_grid(logits, labels)
    assert 0.01 <= fitted.temperature <= 100.0
    assert fitted.nll <= its_nll * (1 + 1e-9) + 1e-12
    assert fitted.nll <= fitted.nll_before
    assert fitted.nll == pytest.approx(
        oracle.mean_nll(logits, labels, fitted.temperature), rel=1e-9, abs=1e-12
    )
    step = 10_000 ** (1 / 399)
    if its_nll < oracle.mean_nll(logits, labels, on_grid * step) - 1e-9 and not fitted.at_bound:
        assert on_grid / step <= fitted.temperature <= on_grid * step


def test_logits_that_are_log_probabilities_come_out_at_one():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((20_000, 4)) * 2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (p.cumsum(1) < rng.random((20_000, 1))).sum(1)
    fitted = fit_temperature(logits, labels)
    assert fitted.temperature == pytest.approx(1.0, abs=0.03)
    louder = fit_temperature(logits * 5, labels)
    assert louder.temperature == pytest.approx(5 * fitted.temperature, rel=1e-4)
    assert not fitted.at_bound


@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_all_right_goes_to_the_cold_bound_and_all_wrong_to_the_hot_one(gap):
    logits = np.tile([gap, 0.0, 0.0], (50, 1))
    right = fit_temperature(logits / 20, np.zeros(50, np.int64))
    assert (right.temperature, right.at_bound) == (0.01, True)
    wrong = fit_temperature(logits, np.ones(50, np.int64))
    assert (wrong.temperature, wrong.at_bound) == (100.0, True)


def test_where_no_temperature_is_better_one_stays():
    labels = np.zeros(5, np.int64)
    for logits in (np.zeros((5, 3)), np.ones((5, 1)), np.tile([900.0, 0.0], (5, 1))):
        fitted = fit_temperature(logits, labels)
        assert (fitted.temperature, fitted.at_bound) == (1.0, False)


def test_huge_logits_have_a_temperature():
    logits = np.array([[1e300, -1e300], [-1e300, 1e300], [3.0, 4.0]])
    fitted = fit_temperature(logits, np.array([0, 0, 0]))
    assert fitted.temperature == 100.0 and fitted.at_bound


def test_chunks_and_memory_maps_change_no_bit(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((60, 9)).astype(np.float16)
    labels = rng.integers(0, 9, 60)
    whole = fit_temperature(logits.astype(np.float64), labels)
    np.save(tmp_path / "logits.npy", logits)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 50)
    assert fit_temperature(np.load(tmp_path / "logits.npy", mmap_mode="r"), labels) == whole


def test_what_cannot_be_fitted_is_refused():
    labels = np.zeros(3, np.int64)
    with pytest.raises(CascadeError, match=r"^net: no examples"):
        fit_temperature(np.zeros((0, 2)), labels[:0], where="net")
    with pytest.raises(CascadeError, match=r"^net: row 2, class 0: logit nan"):
        fit_temperature(np.array([[0.0], [1.0], [np.nan]]), labels, where="net")
    with pytest.raises(CascadeError, match=r"^net: label 2 of row 1, expected 0\.\.1"):
        fit_temperature(np.zeros((3, 2)), np.array([0, 2, 1]), where="net")
    with pytest.raises(CascadeError, match=r"^net: 3 examples, but labels"):
        fit_temperature(np.zeros((3, 2)), labels[:2], where="net")


@pytest.mark.real_data
@pytest.mark.skipif(not RECORDINGS.exists(), reason=f"no recordings at {RECORDINGS}")
def test_real_logits_against_the_grid():
    logits = np.load(RECORDINGS / "selection/resnet32.npy", mmap_mode="r")
    labels = np.load(RECORDINGS / "selection/labels.npy")
    fitted = fit_temperature(logits, labels)
    on_grid, its_nll = oracle.best_of_grid(np.asarray(logits), labels, steps=200)
    assert fitted.nll <= its_nll + 1e-12
    assert fitted.temperature == pytest.approx(on_grid, rel=0.05)
    assert fitted.nll < fitted.nll_before - 0.01
    assert mean_nll(logits, labels, 1.0) == pytest.approx(
        oracle.mean_nll(np.asarray(logits), labels, 1.0), rel=1e-12
    )
