"""``execute=true``: the chosen cascade run over the report split, measured beside predicted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade_exp import Cascade
from cascade_exp.data.examples import Examples
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.execution import last_alone, without_exits
from cascade_exp.runtime.module import RawExamples, gathered, raw_loader
from tests.report.tracking.test_loggers import scalars
from tests.running import run

QUICK = ("plots=false", "analyses=false", "bootstrap.resamples=20", "execute=true")
TIMES = ("execution.repeats=1", "execution.timed=40", "execution.batch_size=8")
HALF = ("cascade=stages", "cascade.stages=[bert_1l,bert_2l]", "threshold.rules=[fixed]")


@pytest.fixture(scope="module")
def median(small_glue_job) -> float:
    """A threshold at which about half of the report split is deferred."""
    logits = np.load(small_glue_job / "recordings" / "report" / "bert_1l.npy").astype(float)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = np.sort((p / p.sum(axis=1, keepdims=True)).max(axis=1))
    middle = len(confidence) // 3
    gap = int(np.argmax(np.diff(confidence[middle : 2 * middle]))) + middle
    return float(confidence[gap : gap + 2].mean())


@pytest.fixture(scope="module")
def executed(small_glue_job, median, tmp_path_factory) -> Path:
    job = tmp_path_factory.mktemp("executed") / "job"
    given = (f"run={small_glue_job}", "logger=tensorboard", *HALF, f"threshold.fixed=[{median}]")
    run("evaluate", job, *given, *QUICK, *TIMES, "plots=true")
    return job


def test_measured_is_what_was_predicted(executed):
    found = json.loads((executed / "results" / "executed.json").read_text())
    summary = json.loads((executed / "results" / "summary.json").read_text())
    point = summary["operating_points"]["fixed"]["report"]
    assert found["rule"] == "fixed" and found["stages"] == ["bert_1l", "bert_2l"]
    assert (found["examples"], found["aside"], found["differing"]) == (50, 0, 0)
    assert found["score"] == found["predicted_score"] == point["score"]
    assert found["cost"] == pytest.approx(found["predicted_cost"]) == pytest.approx(point["cost"])
    assert found["exit_rates"] == pytest.approx(point["exit_rates"])
    assert 0.2 < found["exit_rates"][0] < 0.8


def test_the_ideal_is_the_shares_times_the_stages(executed):
    found = json.loads((executed / "results" / "executed.json").read_text())
    one, two = found["timings"]
    assert found["timed"] == 40 and found["batch_size"] == 8
    assert one["reached"] == 1 and two["reached"] == pytest.approx(1 - one["answered"])
    ideal = one["seconds_on_all"] + two["reached"] * two["seconds_on_all"]
    assert found["seconds_ideal"] == pytest.approx(ideal)
    assert min(found[f"seconds{way}"] for way in ("", "_last", "_all", "_ideal")) > 0


def test_page_and_logger_have_it(executed):
    page = (executed / "results" / "report.html").read_text()
    assert "Run for real" in page and "all stages, masked" in page
    found = json.loads((executed / "results" / "executed.json").read_text())
    logged = scalars(executed / "tensorboard")
    assert logged["executed/seconds_ideal"] == pytest.approx(found["seconds_ideal"])


def test_an_evaluation_without_it_leaves_no_file(executed, small_glue_job, tmp_path):
    job = tmp_path / "job"
    shutil.copytree(executed, job)
    (job / "job.json").unlink()
    run("evaluate", job, f"run={small_glue_job}", *QUICK[:-1], "logger=none")
    assert not (job / "results" / "executed.json").exists()


def test_the_yardsticks_run_what_they_say(executed, small_glue_job):
    cascade = Cascade.load(executed)
    texts = ["a great film", "the story is dull", "it is a film"]
    alone, masked = last_alone(cascade).predict(texts), without_exits(cascade).predict(texts)
    assert [run.name for run in alone.runs] == ["bert_2l"]
    assert [run.examples for run in masked.runs] == [3, 3]
    assert masked.exit.tolist() == [1, 1, 1]
    assert alone.answer.tolist() == masked.answer.tolist()
    np.testing.assert_allclose(alone.confidence, masked.confidence, atol=1e-6)


def test_foreign_recordings_cannot_be_run(tmp_path):
    recordings = Path(__file__).parents[2] / "examples" / "recordings" / "cifar10_resnets"
    with pytest.raises(CascadeError, match="no recordings of a training job"):
        run("evaluate", tmp_path / "job", f"recordings={recordings}", *QUICK, "logger=none")


def test_data_that_have_changed_are_refused(small_glue_job, tmp_path):
    changed = tmp_path / "trained"
    shutil.copytree(small_glue_job, changed)
    config = (changed / "config.yaml").read_text()
    (changed / "config.yaml").write_text(
        config.replace("selection: report_half", "selection: train")
    )
    with pytest.raises(CascadeError, match=r"report/ids\.npy has other ids than the data have now"):
        run("evaluate", tmp_path / "job", f"run={changed}", *QUICK, "logger=none")


@pytest.mark.slow
def test_two_devices_give_what_one_gives(executed, small_glue_job, median, tmp_path):
    given = (f"run={small_glue_job}", "logger=none", *HALF, f"threshold.fixed=[{median}]")
    run("evaluate", tmp_path / "job", *given, *QUICK, *TIMES, "execution.devices=2")
    one, two = (
        json.loads((job / "results" / "executed.json").read_text())
        for job in (executed, tmp_path / "job")
    )
    for name in ("examples", "score", "exit_rates", "cost", "differing"):
        assert one[name] == two[name], name


def test_answers_of_several_processes_are_put_together(tmp_path):
    def rank(number: int, ids: list[int]) -> None:
        values = np.array(ids)
        np.savez(
            tmp_path / f"rank_{number}.npz",
            id=values,
            answer=values * 10,
            confidence=values / 10,
            exit=values % 2,
            cost=values * 1.0,
        )

    rank(0, [3, 1])
    rank(1, [2, 3])  # a distributed sampler repeats examples to fill up
    found = gathered(tmp_path, np.array([1, 2, 3]))
    assert found.answer.tolist() == [10, 20, 30] and found.exit.tolist() == [1, 0, 1]
    with pytest.raises(CascadeError, match="3 examples were run, expected 4"):
        gathered(tmp_path, np.array([1, 2, 3, 4]))


def test_raw_examples_are_what_a_cascade_takes():
    several = Examples(np.array([7, 8]), np.array([0, 1]), [("a", None), ("b", "c")])
    assert list(RawExamples(several)) == [(7, "a"), (8, ("b", "c"))]
    assert list(raw_loader(several, 1)) == [[(7, "a"), (8, ("b", "c"))]]
