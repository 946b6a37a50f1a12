"""The cascade that runs, loaded from jobs: answers, exits, costs, and what is set aside."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cascade_exp import Cascade
from cascade_exp.errors import CascadeError
from tests.running import run
from tests.runtime.making import images, texts

QUICK = ("logger=none", "analyses=false", "plots=false", "bootstrap.resamples=10", "cost=layers")


def softmax(logits):
    p = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def median_of(job: Path, model: str) -> float:
    """A threshold between two confidences of the report split, so that half leave at ``model``."""
    confidence = np.sort(softmax(np.load(job / "recordings" / "report" / f"{model}.npy")).max(1))
    gap = int(np.argmax(np.diff(confidence[30:60]))) + 30
    return float(confidence[gap : gap + 2].mean())


def evaluated(job: Path, folder: Path, stages: list[str], *overrides: str) -> Path:
    thresholds = [median_of(job, stage) for stage in stages[:-1]]
    fixed = [f"cascade.stages=[{','.join(stages)}]", f"threshold.fixed={thresholds}"]
    given = [f"recordings={job / 'recordings'}", "cascade=stages", "threshold.rules=[fixed]"]
    run("evaluate", folder, *given, *fixed, *QUICK, *overrides)
    return folder


def by_hand(job: Path, stages: list[str], thresholds: list[float]):
    answers, exits = [], []
    recorded = [np.load(job / "recordings" / "report" / f"{stage}.npy") for stage in stages]
    for rows in zip(*recorded, strict=True):
        for at, logits in enumerate(rows):
            last = at == len(stages) - 1
            if last or softmax(logits[None]).max() >= thresholds[at]:
                answers.append(int(logits.argmax()))
                exits.append(at)
                break
    return answers, exits


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_an_image_cascade_answers_as_recorded(image_job, tmp_path, batch_size):
    stages = ["small", "middle", "large"]
    job = evaluated(image_job, tmp_path / "job", stages)
    cascade = Cascade.load(job)
    answers, exits = by_hand(image_job, stages, cascade.chosen.thresholds)
    found = cascade.predict(list(images(90, 1).inputs), batch_size=batch_size)
    assert found.answer.tolist() == answers and found.exit.tolist() == exits
    assert len(set(exits)) == 3
    assert found.name == tuple("abc"[answer] for answer in answers)
    assert found.cost.tolist() == [[10.0, 30.0, 60.0][exit] for exit in exits]
    reached = [90, 90 - exits.count(0), exits.count(2)]
    assert [stage.examples for stage in found.runs] == reached
    assert [stage.calls for stage in found.runs] == [
        {name: n} for name, n in zip(stages, reached, strict=True)
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_a_text_cascade_answers_as_recorded(text_job, tmp_path, batch_size):
    stages = ["one", "two", "three"]
    job = evaluated(text_job, tmp_path / "job", stages)
    cascade = Cascade.load(job / "results" / "operating_point.json")
    answers, exits = by_hand(text_job, stages, cascade.chosen.thresholds)
    found = cascade.predict([text for text, _ in texts(90, 1).inputs], batch_size=batch_size)
    assert found.answer.tolist() == answers and found.exit.tolist() == exits
    assert len(set(exits)) == 3
    assert set(found.name) == {"bad", "good"}
    assert found.exit_name == tuple(stages[exit] for exit in exits)


def test_only_what_is_deferred_is_fed_to_a_later_network(image_job, tmp_path, monkeypatch):
    cascade = Cascade.load(evaluated(image_job, tmp_path / "job", ["small", "large"]))
    seen = []
    large = cascade.stages[1]
    large.network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    found = cascade.predict(list(images(90, 1).inputs), batch_size=8, chunk_size=90)
    deferred = int((found.exit == 1).sum())
    assert sum(seen) == deferred and 0 < deferred < 90
    assert len(seen) == -(-deferred // 8)  # full batches of what was deferred


def test_pictures_come_as_arrays_files_and_pil_images(image_job, tmp_path):
    cascade = Cascade.load(evaluated(image_job, tmp_path / "job", ["small", "large"]))
    arrays = list(images(20, 1).inputs)
    flat = [array[..., 0] for array in arrays]
    pil = [Image.fromarray(array) for array in flat]
    for number, image in enumerate(pil):
        image.save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(20)]
    expected = cascade.predict(arrays)
    for inputs in (flat, pil, files, [str(file) for file in files]):
        found = cascade.predict(inputs)
        assert found.answer.tolist() == expected.answer.tolist()
        assert np.allclose(found.confidence, expected.confidence, atol=1e-6)


def test_what_cannot_be_read_is_set_aside_and_nothing_else(image_job, text_job, tmp_path):
    cascade = Cascade.load(evaluated(image_job, tmp_path / "images", ["small", "large"]))
    good = images(1, 1).inputs[0]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    bad = [tmp_path / "broken.png", "none.png", None, good.astype(float), good[:0], "a\0b"]
    found = cascade.predict([bad[0], good, *bad[1:], good])
    aside = [True, False, *[True] * (len(bad) - 1), False]
    assert [reason is not None for reason in found.reason] == aside
    assert [answer == -1 for answer in found.answer] == aside
    assert [name is None for name in found.exit_name] == aside
    assert np.isnan(found.confidence).tolist() == aside
    assert all("\n" not in reason for reason in found.reason if reason)
    cascade = Cascade.load(evaluated(text_job, tmp_path / "texts", ["one", "two"]))
    found = cascade.predict(
        ["", None, "fine", float("nan"), ("a", "b"), "x\ud800", ("a", "b", "c")]
    )
    assert [reason is not None for reason in found.reason] == [0, 1, 0, 1, 1, 1, 1]


def test_nothing_gives_nothing(image_job, tmp_path):
    cascade = Cascade.load(evaluated(image_job, tmp_path / "job", ["small", "large"]))
    found = cascade.predict([])
    assert len(found) == 0 and found.exit_rates.tolist() == [0, 0]
    assert [stage.examples for stage in found.runs] == [0, 0]
    with pytest.raises(CascadeError, match="expected a list of inputs"):
        cascade.predict("a.png")
    with pytest.raises(CascadeError, match="batch_size=0"):
        cascade.predict([], batch_size=0)


def test_progress_counts_exits_and_what_was_set_aside(image_job, tmp_path):
    cascade = Cascade.load(evaluated(image_job, tmp_path / "job", ["small", "large"]))
    reported = []
    found = cascade.predict(
        [None, *images(90, 1).inputs],
        chunk_size=40,
        progress=lambda exits, aside: reported.append([*exits.tolist(), aside]),
    )
    assert [sum(row) for row in reported] == [40, 80, 91]
    assert reported[-1] == [*np.bincount(found.exit[1:]).tolist(), 1]


def test_another_rule_of_the_job_runs(image_job, tmp_path):
    job = tmp_path / "job"
    rules = "threshold.rules=[match_accuracy,target_cost]"
    given = (f"recordings={image_job / 'recordings'}", rules, "threshold.target_cost=15")
    run("evaluate", job, *given, *QUICK)
    for rule in ("match_accuracy", "target_cost"):
        found = Cascade.load(job, rule=rule).predict(list(images(90, 1).inputs))
        labels = images(90, 1).labels
        point = json.loads((job / "results" / "summary.json").read_text())["operating_points"][rule]
        assert (found.answer == labels).mean() == pytest.approx(point["report"]["score"])
        assert found.cost.mean() == pytest.approx(point["report"]["cost"])
    with pytest.raises(CascadeError, match=r"rule=best: expected one of match_accuracy"):
        Cascade.load(job, rule="best")


def test_a_place_without_a_cascade_is_one_line(image_job, tmp_path):
    with pytest.raises(CascadeError, match="no cascade here; expected the folder of an evaluated"):
        Cascade.load(tmp_path)
    with pytest.raises(CascadeError, match="device=gpu"):
        Cascade.load(evaluated(image_job, tmp_path / "job", ["small", "large"]), device="gpu")
