"""A real, small training job: what it leaves behind, what it does not do twice, how it resumes."""

import json
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import open_recordings
from tests.running import run

SMALL = (
    "data.limit_train=200",
    "trainer.max_epochs=1",
    "logger=none",
    "callbacks=[checkpoint]",
    "~models.members.resnet10t_32px",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "job"
    run("train", folder, *SMALL, "callbacks.checkpoint.keep=true")
    return folder


def test_leaves_recordings_in_the_interchange_format(job):
    recordings = open_recordings(job / "recordings")
    assert recordings.names == ("resnet_16px", "resnet_32px")
    assert set(recordings.models[0].costs) == {"macs", "params", "layers"}
    seen = set()
    for name in ("selection", "report"):
        split = recordings.split(name)
        assert split.classes == 10 and len(split.labels) == 449
        assert all(logits.dtype == np.float32 for logits in split.outputs.values())
        assert not seen & set(split.ids.tolist())
        seen |= set(split.ids.tolist())
        beside = json.loads((job / "recordings" / name / "resnet_16px.json").read_text())
        assert {"key", "weights", "data", "code", "sha256", "macs"} <= set(beside)


def test_leaves_all_results(job):
    results = job / "results"
    for name in ("summary.json", "frontier.csv", "operating_point.json", "reliability.csv"):
        assert (results / name).stat().st_size > 0
    assert (results / "report.html").is_file() and list((results / "plots").glob("*.png"))
    point = json.loads((results / "operating_point.json").read_text())
    for name in point["stages"]:
        model = point["models"][name]
        assert model["weights"] == f"models/{name}"
        assert (job / model["weights"] / "model.safetensors").is_file()
        assert model["classes"] == [str(digit) for digit in range(10)]


def test_a_saved_model_says_what_was_recorded(job):
    import torch

    from cascade_exp.data import load_source
    from cascade_exp.data.images import ImageDataModule
    from cascade_exp.data.splitting import carve
    from cascade_exp.models.complete import load_model

    model = load_model(job / "models" / "resnet_16px")
    splits = carve(
        load_source({"source": "digits"}),
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=200,
        seed=0,
    )
    data = ImageDataModule(
        splits, **vars(model.input), batch_size=64, augment="none", workers=0, seed=0
    )
    model.network.eval()
    with torch.inference_mode():
        batches = [(b["id"], model.network(b["inputs"])) for b in data.loader("report")]
    ids = torch.cat([i for i, _ in batches]).numpy()
    logits = torch.cat([z for _, z in batches]).numpy()
    split = open_recordings(job / "recordings").split("report")
    np.testing.assert_array_equal(ids, split.ids)
    np.testing.assert_allclose(logits, split.outputs["resnet_16px"], rtol=1e-4, atol=1e-4)


def test_the_same_weights_and_data_are_recorded_once(job, capsys):
    again = job.parent / "again"
    run("train", again, *SMALL)
    assert capsys.readouterr().out.count("recorded before") == 4
    first = job / "recordings" / "report" / "resnet_32px.npy"
    second = again / "recordings" / "report" / "resnet_32px.npy"
    assert first.samefile(second) and not second.is_symlink()


def test_evaluate_takes_the_newest_complete_run(job, capsys):
    unfinished = job.parent / "unfinished" / "recordings"
    unfinished.mkdir(parents=True)
    run("evaluate", job.parent / "evaluation", "logger=none", "metric=softmax_margin")
    summary = json.loads((job.parent / "evaluation" / "results" / "summary.json").read_text())
    assert summary["metric"] == "softmax_margin"
    assert Path(summary["recordings"]).parent.parent == job.parent


def test_resumes_from_a_job_and_says_when_it_cannot(job, capsys):
    resumed = job.parent / "resumed"
    longer = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
    run("train", resumed, *longer, "trainer.max_epochs=2", f"ckpt_path={job}", "evaluate=false")
    assert f"resuming from {job}" in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(CascadeError, match=r"no checkpoint .*last\.ckpt"):
        run("train", job.parent / "other", *SMALL, "ckpt_path=last")


def test_a_model_trained_elsewhere_stands_beside_new_ones(job, tmp_path, capsys):
    taken = f"+models.members.resnet_32px.training.run={job}"
    longer = [o for o in SMALL if not o.startswith("data.limit_train")]
    run("train", tmp_path / "job", *longer, "data.limit_train=150", taken, "evaluate=false")
    said = capsys.readouterr().out.replace("\n", "")
    assert f"trained in {job}" in said and said.count("trained in ") == 1
    folder = tmp_path / "job"
    assert not (folder / "checkpoints").exists()  # its weights are in models/, once
    assert (job / "checkpoints" / "resnet_16px" / "best.ckpt").is_file()  # kept where asked
    weights = Path("models/resnet_32px/model.safetensors")
    assert (folder / weights).read_bytes() == (job / weights).read_bytes()
    splits = [open_recordings(f / "recordings").split("report") for f in (folder, job)]
    same = [
        np.array_equal(splits[0].outputs[name], splits[1].outputs[name])
        for name in ("resnet_16px", "resnet_32px")
    ]
    assert same == [False, True]


def test_records_without_training(tmp_path):
    run("train", tmp_path / "job", *SMALL, "train=false", "evaluate=false")
    assert not (tmp_path / "job" / "checkpoints").exists()
    assert not (tmp_path / "job" / "results").exists()
    assert open_recordings(tmp_path / "job" / "recordings").split("report").classes == 10


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+optimizer.options.betaz=[0.9, 0.99]", "did you mean 'betas'"),
        ("optimizer.builds=os.system", "expected a class out of"),
        ("optimizer.builds=torch.optim.Adamm", "no such class"),
        ("+trainer.options.max_step=3", "did you mean 'max_steps'"),
        ("models.members.resnet_16px.architecture=resnet51x", "resnet51x"),
        ("models.members.resnet_16px.family=tim", "did you mean 'timm'"),
        ("data.validation_share=2", "data.validation_share"),
        (
            "+models.members.resnet_16px.training.run=nowhere",
            "models.members.resnet_16px.training.run=nowhere: no model nowhere/models/resnet_16px",
        ),
        (
            "+models.members.resnet_16px.training={run: nowhere, max_epochs: 2}",
            "resnet_16px.training.run: not trained here, so nothing reads max_epochs",
        ),
        ("data.selection=dev", "data.selection=dev"),
        ("best_by=val/f", "best_by=val/f: expected one of val/accuracy, val/f1"),
    ],
)
def test_bad_settings_are_said_in_one_line(tmp_path, override, said):
    with pytest.raises(CascadeError) as refused:
        run("train", tmp_path / "job", *SMALL, override)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "job" / "recordings" / "models.csv").exists()


def test_the_profiler_shows_where_the_time_went(tmp_path):
    run("train", tmp_path / "job", "debug=profiler", *SMALL, "evaluate=false")
    profile = (tmp_path / "job" / "checkpoints" / "resnet_16px" / "fit-profile.txt").read_text()
    assert "run_training_batch" in profile
