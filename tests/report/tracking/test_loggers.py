"""Loggers by configuration alone: what each wrote, read back with its own reader."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb

from cascade_exp.errors import CascadeError, Pruned
from cascade_exp.report.results.headline import headline, reported_number
from cascade_exp.report.tracking.loggers import _mode_by_key, open_loggers
from cascade_exp.report.tracking.workspace import WorkspaceOptions, build, main, serialised
from cascade_exp.schema.evaluating import MlflowLogger, WandbLogger
from tests.recordings.making import make_recordings
from tests.report.conftest import simulated_results
from tests.report.tracking.test_board import inspected, only_run, records
from tests.running import run


@pytest.fixture
def recordings(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "offline")
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0}, size=80)
    return tmp_path / "rec"


def scalars(folder: Path) -> dict[str, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}


def mlflow_runs(job: Path) -> list:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{job / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("cascade-exp")
    return list(client.search_runs([experiment.experiment_id]))


def test_all_loggers_at_once_say_the_same(tmp_path, recordings):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    job = tmp_path / "job"
    loggers = "logger=[wandb,csv,tensorboard,mlflow]"
    run("evaluate", job, f"recordings={recordings}", loggers, "plots=false", "analyses=false")
    summary = json.loads((job / "results" / "summary.json").read_text())
    score = summary["operating_points"]["match_accuracy"]["report"]["score"]
    assert inspected(only_run(job))["summary"]["match_accuracy/score"] == pytest.approx(score)
    assert scalars(job / "tensorboard")["match_accuracy/score"] == pytest.approx(score)
    (tracked,) = mlflow_runs(job)
    assert tracked.data.metrics["match_accuracy/score"] == pytest.approx(score)
    assert tracked.data.params["metric.name"] == "max_softmax"
    assert ">" in tracked.data.tags["match_accuracy/stages"] + ">"
    assert tracked.info.status == "FINISHED"
    assert not (job / "results" / "report.html").exists()


def test_a_failed_job_is_failed_in_mlflow_and_resumed_in_the_same_run(tmp_path, recordings):
    job = tmp_path / "job"
    kept = (recordings / "report" / "large.npy").read_bytes()
    (recordings / "report" / "large.npy").write_bytes(b"")
    arguments = (f"recordings={recordings}", "logger=mlflow", "plots=false", "analyses=false")
    with pytest.raises(CascadeError):
        run("evaluate", job, *arguments)
    assert [r.info.status for r in mlflow_runs(job)] == ["FAILED"]
    (recordings / "report" / "large.npy").write_bytes(kept)
    run("evaluate", job, *arguments)  # the recordings are others now: another job, another run
    assert sorted(r.info.status for r in mlflow_runs(job)) == ["FAILED", "FINISHED"]


def test_a_pruned_job_ends_well_and_says_so(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.setenv("WANDB_MODE", "offline")
    settings = {"wandb": WandbLogger(tags="mine"), "mlflow": MlflowLogger()}
    reason = "epoch 2 of a: val/accuracy 0.1"
    with (
        pytest.raises(Pruned),
        open_loggers(
            settings,
            folder=tmp_path,
            config={"seed": 0},
            job_type="train",
            group=None,
            run_id="pruned01",
            resumed=False,
        ),
    ):
        raise Pruned(reason)
    assert inspected(only_run(tmp_path))["summary"]["pruned"] == reason
    written = records(only_run(tmp_path))
    assert [r["exit"].get("exit_code", 0) for r in written if "exit" in r] == [0]
    assert ["mine", "pruned"] in [r["run"].get("tags") for r in written if "run" in r]
    (tracked,) = mlflow_runs(tmp_path)
    assert tracked.info.status == "FINISHED" and tracked.data.tags["pruned"] == reason


def test_training_curves_of_every_model(tmp_path):
    job = tmp_path / "job"
    run(
        "train",
        job,
        "data.limit_train=100",
        "trainer.max_epochs=1",
        "callbacks=none",
        "logger=[tensorboard,mlflow]",
        "evaluate=false",
        "~models.members.resnet10t_32px",
        "~models.members.resnet_32px",
    )
    curve = scalars(job / "tensorboard" / "resnet_16px")["val/accuracy"]
    (tracked,) = mlflow_runs(job)
    assert tracked.data.metrics["resnet_16px-val/accuracy"] == pytest.approx(curve)
    assert tracked.info.status == "FINISHED"


def test_no_logger_leaves_results_alone(tmp_path, recordings):
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={recordings}", "logger=none", "plots=false")
    assert {p.name for p in job.iterdir()} == {".lock", "config.yaml", "job.json", "results"}


def test_a_number_to_optimise_is_of_the_selection_split(tmp_path):
    from cascade_exp.report.results.files import write_results

    results = simulated_results()
    write_results(results, tmp_path / "results")
    name = "front/selection/average_improvement"
    assert reported_number(tmp_path, name) == results.figures["selection"].average_improvement
    with pytest.raises(CascadeError, match="did you mean"):
        reported_number(tmp_path, "front/report/average_improvement")


def test_the_workspace_shows_what_runs_log(capsys):
    pytest.importorskip("wandb_workspaces", reason="needs the extra workspaces")
    built = build(WorkspaceOptions(entity="me"))
    text = serialised(built)
    headlines = {f'"{name}"' for name in headline(simulated_results())}
    shown = [n for n in headlines if n.strip('"') in text or n.replace("/", "\\/") in text]
    assert '"front/report/average_improvement"' in shown
    assert {s.name for s in built.sections} >= {"Pareto fronts", "Choices", "Training"}
    main(["entity=me", "project=p", "rule=target_cost", "save=false"])
    assert "target_cost/score" in capsys.readouterr().out


def test_the_workspace_says_what_it_wants():
    with pytest.raises(CascadeError, match="expected entity="):
        main(["project=p"])
    with pytest.raises(CascadeError, match="expected entity="):
        main(["entity=me", "projekt=p"])


@pytest.mark.parametrize("key", ["x" * 40, "abc"])
def test_a_key_without_a_server_writes_offline_in_one_line(
    tmp_path, monkeypatch, recordings, caplog, key
):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", key)
    wandb.teardown()
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={recordings}", "plots=false", "analyses=false")
    wandb.teardown()
    lines = [r.getMessage() for r in caplog.records if "written offline" in r.getMessage()]
    assert len(lines) == 1 and "\n" not in lines[0] and "127.0.0.1:9" in lines[0]
    assert only_run(job)


def test_a_refused_key_writes_offline_in_one_line(monkeypatch, caplog):
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "abc")  # malformed, and the server is there
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        wandb.teardown()
        try:
            assert _mode_by_key() == "offline"
        finally:
            server.shutdown()
            wandb.teardown()
    (line,) = [r.getMessage() for r in caplog.records if "written offline" in r.getMessage()]
    assert "\n" not in line


def test_a_key_that_wandb_does_not_read_is_one_line(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a key\n")
    wandb.teardown()
    with pytest.raises(CascadeError, match=r"logger=wandb: .*whitespace; logger=none"):
        _mode_by_key()
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()


def test_without_a_key_nobody_is_asked(monkeypatch, tmp_path, caplog):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr(
        "cascade_exp.report.tracking.loggers.urlopen", lambda *_, **__: pytest.fail("asked")
    )
    assert _mode_by_key() == "offline" and not caplog.records
