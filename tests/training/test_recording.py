"""Recording divided between jobs: the same bytes as of one job, damaged and missing shares too."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from tests.running import ROOT, run
from tests.warm import python

pytestmark = pytest.mark.usefixtures("one_thread")

DIGITS = (
    "train=false",
    "evaluate=false",
    "logger=none",
    "trainer.accelerator=cpu",
    "data.batch_size=50",
    "~models.members.resnet10t_32px",
)
SHARES = ("recording.shares=3",)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "job"
    run("train", folder, *DIGITS)
    return folder


def recordings(job: Path) -> dict[str, bytes]:
    files = sorted((job / "recordings").rglob("*.npy"))
    return {str(path.relative_to(job)): path.read_bytes() for path in files}


def parts(outputs: Path) -> list[Path]:
    return sorted((outputs / "cache" / "recordings").glob("*.parts/*.npz"))


def other_digits(folder: Path) -> list[str]:
    """Two folders of grey images."""
    from PIL import Image

    for split in ("train", "test"):
        for name in ("a", "b"):
            for number in range(20):
                path = folder / "images" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (8, 8), 10 * number).save(path)
    return ["data=image_folder", f"data.root={folder / 'images'}"]


def of_text(job: Path, small_glue: Path) -> list[str]:
    tokenizer = job.parent / "tokenizer"
    members = [f"models.members.bert_{n}l" for n in (1, 2)]
    return [
        *("data=sst2", f"data.root={small_glue}", "models=bert_shaped"),
        *(f"+{m}.tokenizer={tokenizer}" for m in members),
        *(f"{m}.max_length=16" for m in members),
        *("train=false", f"run={job}", "evaluate=false", "logger=none"),
    ]


def test_shares_of_a_trained_pool_are_the_recordings_of_its_job(
    small_glue, small_glue_job, tmp_path, capsys
):
    # texts, in batches of like length: a share is not a stretch of the split
    text = of_text(small_glue_job, small_glue)
    for share in (1, 0):
        run(
            "train",
            tmp_path / f"share{share}",
            *text,
            "recording.shares=2",
            f"recording.share={share}",
        )
        assert not (tmp_path / f"share{share}" / "recordings" / "models.csv").exists()
    assert len(parts(tmp_path)) == 8
    run("train", tmp_path / "all", *text)
    assert capsys.readouterr().out.count("out of 2 shares, none recorded again") == 4
    assert recordings(tmp_path / "all") == recordings(small_glue_job)
    assert not parts(tmp_path)
    run("train", tmp_path / "late", *text, "recording.shares=2", "recording.share=0")
    assert capsys.readouterr().out.count("was recorded before") == 4 and not parts(tmp_path)


def test_a_pool_that_was_trained_for_other_classes_is_refused(whole, tmp_path):
    with pytest.raises(CascadeError, match=r"run=.*: resnet_16px has the classes 0, 1, 2, 3"):
        run("train", tmp_path / "job", *DIGITS, f"run={whole}", *other_digits(tmp_path))


def test_what_no_share_has_is_recorded_then(whole, tmp_path, capsys):
    for share in (0, 2):
        run("train", tmp_path / f"{share}", *DIGITS, *SHARES, f"recording.share={share}")
    first, *_, last = parts(tmp_path)
    kept = last.stat().st_mtime_ns
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(bytes(content))
    run("train", tmp_path / "2again", *DIGITS, *SHARES, "recording.share=2")
    assert last.stat().st_mtime_ns == kept  # what is whole is not made again
    capsys.readouterr()
    run("train", tmp_path / "all", *DIGITS)
    printed = capsys.readouterr().out
    assert "out of 2 shares" in printed and "out of 1 shares" in printed and "again" not in printed
    assert recordings(tmp_path / "all") == recordings(whole)


def test_more_shares_than_batches(whole, tmp_path, capsys):
    few = ("data.batch_size=449", "recording.shares=2")
    for share in (0, 1):
        run("train", tmp_path / f"{share}", *DIGITS, *few, f"recording.share={share}")
    assert capsys.readouterr().out.count("no batch is left") == 4
    run("train", tmp_path / "all", *DIGITS)
    for name, content in recordings(tmp_path / "all").items():
        whole_one = np.load(whole / name)
        assert len(content) == len((whole / name).read_bytes())
        np.testing.assert_allclose(np.load(tmp_path / "all" / name), whole_one, atol=1e-4)


@pytest.mark.slow
def test_jobs_side_by_side_divide_the_recording(whole, tmp_path):
    def train(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            python(ROOT / "train.py", *arguments, *DIGITS),
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    parallel = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "recording.shares=2")
    # each share twice at once: seeds play no part in what is recorded of given weights
    twice = [f"+models.members.{m}.training={{seed:0}}" for m in ("resnet_16px", "resnet_32px")]
    divided = train(*parallel, *twice, "recording.share=0,1", "seed=0,1")
    assert divided.returncode == 0, divided.stderr
    stored = sorted((tmp_path / ".cache" / "recordings").glob("*.parts/*"))
    assert [path.name for path in stored] == ["0-of-2.npz", "1-of-2.npz"] * 4
    done = train("hydra.run.dir=all")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("none recorded again") == 4
    assert recordings(tmp_path / "all") == recordings(whole)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["recording.shares=0"], "recording.shares=0: expected at least 1"),
        (["recording.shares=4"], "'recording.share=range(4)'"),
        (["recording.shares=4", "recording.share=4"], "recording.share=4: expected 0 to 3"),
        (["recording.share=1"], "recording.share=1: expected 0 to 0"),
        (["recording.shares=2", "recording.share=1", "train=true"], "train=false run=JOB"),
        (["run=nowhere"], "run=nowhere: no model nowhere/models/resnet_16px"),
        (["run=nowhere", "train=true"], "give train=false"),
    ],
)
def test_nonsense_is_said_in_one_line(tmp_path, overrides, said):
    with pytest.raises(CascadeError) as refused:
        run("train", tmp_path / "job", *DIGITS, *overrides)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not parts(tmp_path)
