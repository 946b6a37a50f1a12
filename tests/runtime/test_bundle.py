"""Bundles: they run without the job, answer as it does, and are refused where a byte differs."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cascade_exp import Cascade
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.bundle import CASCADE, MANIFEST, SUMS, read_bundle
from cascade_exp.tools.bundle import main, newest_job, write_bundle
from cascade_exp.tools.training_columns import training_columns
from tests.runtime.making import images, texts
from tests.runtime.test_cascade import evaluated


@pytest.fixture(scope="module")
def text_bundle(text_job, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    settings = ("metric=entropy", "ensemble=mean_logits", "calibration=temperature")
    job = evaluated(text_job, folder / "job", ["one", "two", "three"], *settings)
    write_bundle(job, folder / "bundle")
    return folder / "bundle"


def files(bundle: Path) -> list[str]:
    return sorted(str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file())


def moved(job: Path, models: Path) -> None:
    """Take the job and the models that it was trained with out of the way."""
    for folder in (job, models):
        folder.rename(folder.with_name(f"{folder.name}-moved"))


def copied(trained: Path, folder: Path) -> Path:
    """A copy of a training job whose recordings name the models of the copy."""
    shutil.copytree(trained, folder)
    for beside in (folder / "recordings").rglob("*.json"):
        about = json.loads(beside.read_text())
        about["model"]["weights"] = str(folder / "models" / beside.stem)
        beside.write_text(json.dumps(about))
    return folder


def same(one, other) -> None:
    assert one.answer.tolist() == other.answer.tolist()
    assert one.confidence.tolist() == other.confidence.tolist()
    assert one.exit.tolist() == other.exit.tolist() and len(set(one.exit.tolist())) > 1
    assert one.cost.tolist() == other.cost.tolist()
    assert (one.name, one.stages) == (other.name, other.stages)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_bundle_answers_as_its_job_and_without_it(kind, request, tmp_path):
    trained = copied(request.getfixturevalue(f"{kind}_job"), tmp_path / "trained")
    if kind == "image":
        stages, inputs, more = ["small", "middle", "large"], list(images(40, 5).inputs), ()
    else:
        stages = ["one", "two", "three"]
        inputs = [text for text, _ in texts(40, 5).inputs]
        more = ("ensemble=comparison",)
    job = evaluated(trained, tmp_path / "job", stages, *more)
    before = Cascade.load(job).predict(inputs)
    write_bundle(job, tmp_path / "bundle")
    moved(job, trained)
    (tmp_path / "bundle").rename(tmp_path / "elsewhere")
    with pytest.raises(CascadeError, match="no cascade here"):
        Cascade.load(job)
    after = Cascade.load(tmp_path / "elsewhere")
    same(before, after.predict(inputs))
    assert sum(after.chosen.exit_rates) == pytest.approx(1.0)


def test_nothing_in_a_bundle_is_code_or_pickle(text_bundle):
    assert {Path(name).suffix for name in files(text_bundle)} <= {".json", ".safetensors", ""}
    about = json.loads((text_bundle / CASCADE).read_text())
    assert set(about["temperatures"].values()) != {1.0}
    for model in about["models"].values():
        assert {"model.json", "model.safetensors", "tokenizer.json"} <= {
            path.name for path in (text_bundle / model["weights"]).iterdir()
        }


def test_every_file_with_a_flipped_byte_is_refused(text_bundle, tmp_path):
    read_bundle(text_bundle)
    names = files(text_bundle)
    assert len(names) >= 3 + 3 * 4
    for number, name in enumerate(names):
        copy = shutil.copytree(text_bundle, tmp_path / str(number))
        content = bytearray((copy / name).read_bytes())
        for place in {0, len(content) // 3, len(content) - 1}:
            content[place] ^= 1
            (copy / name).write_bytes(content)
            with pytest.raises(CascadeError) as refused:
                Cascade.load(copy)
            assert str(copy) in str(refused.value) and "\n" not in str(refused.value)
            content[place] ^= 1


def test_every_file_that_is_missing_is_refused(text_bundle, tmp_path):
    for number, name in enumerate(files(text_bundle)):
        copy = shutil.copytree(text_bundle, tmp_path / str(number))
        (copy / name).unlink()
        with pytest.raises(CascadeError, match=f"{name}: missing"):
            Cascade.load(copy)


def test_a_file_that_was_added_is_refused(text_bundle, tmp_path):
    copy = shutil.copytree(text_bundle, tmp_path / "copy")
    (copy / "models" / "one" / "added_tokens.json").write_text("{}")
    with pytest.raises(CascadeError, match=r"added_tokens\.json: not part of the bundle"):
        Cascade.load(copy)


def resummed(folder: Path) -> None:
    sums = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in files(folder)
        if name != SUMS
    ]
    (folder / SUMS).write_text("".join(sums))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "bundle.json: format 2, and this version of cascade-exp reads 1; a newer"),
        ({"format": 0}, "bundle.json: found format 0, expected 1"),
        ({"format": "1"}, "not the manifest of a bundle"),
        ({"columns": 3}, "not the manifest of a bundle"),
    ],
)
def test_another_format_is_refused(text_bundle, tmp_path, change, message):
    copy = shutil.copytree(text_bundle, tmp_path / "copy")
    about = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(about | change))
    resummed(copy)
    with pytest.raises(CascadeError, match=message):
        Cascade.load(copy)


def test_weights_outside_of_the_bundle_are_refused(text_bundle, tmp_path):
    copy = shutil.copytree(text_bundle, tmp_path / "copy")
    about = json.loads((copy / CASCADE).read_text())
    about["models"]["one"]["weights"] = "/elsewhere"
    (copy / CASCADE).write_text(json.dumps(about))
    resummed(copy)
    with pytest.raises(CascadeError, match=r"models\.one: no weights in models/"):
        Cascade.load(copy)


def test_another_rule_is_bundled_with_its_own_thresholds(image_job, tmp_path):
    stages = ["small", "middle", "large"]
    rules = "threshold.rules=[fixed,target_accuracy]"
    job = evaluated(image_job, tmp_path / "job", stages, rules, "threshold.target_accuracy=0.0")
    inputs = list(images(40, 5).inputs)
    point = write_bundle(job, tmp_path / "other", "target_accuracy")
    assert point["rule"] == "target_accuracy"
    first, other = Cascade.load(job), Cascade.load(tmp_path / "other")
    assert other.chosen.thresholds != first.chosen.thresholds
    its = Cascade.load(job, rule="target_accuracy")
    assert other.predict(inputs).exit.tolist() == its.predict(inputs).exit.tolist()
    assert other.chosen.exit_rates == its.chosen.exit_rates
    with pytest.raises(CascadeError, match=r"rule=fixed: the bundle .* holds that of target_acc"):
        Cascade.load(tmp_path / "other", rule="fixed")


def test_what_cannot_be_bundled_is_refused_and_nothing_written(image_job, tmp_path, capsys):
    job = evaluated(image_job, tmp_path / "job", ["small", "large"])
    output = tmp_path / "out" / "bundle"
    output.mkdir(parents=True)
    (output / "notes.txt").write_text("mine")
    assert main([f"run={job}", f"output={output}"]) == 1
    assert "is already there" in capsys.readouterr().err
    assert files(output) == ["notes.txt"]
    assert main([f"run={job}"]) == 1
    assert "output: expected the folder" in capsys.readouterr().err
    assert main([f"run={job}", f"output={tmp_path / 'new'}", "rule=fixd"]) == 1
    assert "did you mean 'fixed'?" in capsys.readouterr().err
    assert main([f"run={tmp_path}", f"output={tmp_path / 'new'}"]) == 1
    assert "no results/summary.json" in capsys.readouterr().err
    assert main(["outptu=x"]) == 1
    assert "did you mean 'output'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_damaged_weights_and_files_of_code_are_not_bundled(image_job, tmp_path):
    trained = copied(image_job, tmp_path / "trained")
    job = evaluated(trained, trained, ["small", "large"])
    (trained / "models" / "small" / "modeling.py").write_text("print()")
    with pytest.raises(CascadeError, match=r"modeling\.py: a bundle holds no such file"):
        write_bundle(job, tmp_path / "bundle")
    (trained / "models" / "small" / "modeling.py").unlink()
    weights = trained / "models" / "large" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CascadeError, match=r"model\.safetensors: damaged or changed"):
        write_bundle(job, tmp_path / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained"]


def test_models_recorded_elsewhere_are_not_bundled(image_job, tmp_path):
    trained = shutil.copytree(image_job, tmp_path / "trained")
    for beside in (trained / "recordings").rglob("*.json"):
        beside.unlink()
    job = evaluated(trained, tmp_path / "outputs" / "job", ["small", "large"])
    with pytest.raises(CascadeError, match="the weights of small are not known"):
        write_bundle(job, tmp_path / "bundle")
    with pytest.raises(CascadeError, match="no evaluated job under"):
        newest_job(tmp_path / "outputs")
    known = evaluated(image_job, tmp_path / "outputs" / "known", ["small", "large"])
    evaluated(trained, tmp_path / "outputs" / "newer", ["small", "large"])
    assert newest_job(tmp_path / "outputs") == known


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("{source: table, text: review, text_pair: null}", ["review"]),
        ("{source: table, text: one, text_pair: two}", ["one", "two"]),
        ("{source: glue, task: sst2, root: here}", ["sentence"]),
        ("{source: glue, task: mrpc, root: here}", ["#1 String", "#2 String"]),
        ("{source: glue, task: mrpc, root: null}", ["sentence1", "sentence2"]),
        ("{source: digits}", []),
        ("null", []),
    ],
)
def test_the_columns_of_training_are_those_of_its_data(tmp_path, data, expected):
    (tmp_path / "config.yaml").write_text(f"data: {data}\n")
    assert training_columns(tmp_path) == expected
