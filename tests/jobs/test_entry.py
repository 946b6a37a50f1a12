"""Mistakes on the command line: one line that names the key, found and expected, and status 1."""

import subprocess
from pathlib import Path

import pytest

from tests.warm import python

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pytorch_lightning", "transformers", "timm", "wandb", "matplotlib", "sklearn")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(python(*arguments), capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("script", "override", "said"),
    [
        ("evaluate.py", "metrc=entropy", "metrc: no such key (did you mean 'metric'?)"),
        ("evaluate.py", "metric=entrpy", "metric=entrpy: no such option"),
        ("evaluate.py", "metric=entrpy", "did you mean 'entropy'?"),
        ("evaluate.py", "+metrik=entropy", "metrik: nothing reads this key (did you mean"),
        ("evaluate.py", "+metric.temperature=2", "metric.temperature: nothing reads this key"),
        ("evaluate.py", "metric.k=3", "metric.k: no such key"),
        ("evaluate.py", "seed=one", "seed=one: Value 'one'"),
        ("evaluate.py", "seed", "seed: expected key=value"),
        ("evaluate.py", "recordings=a=b/c", """quote it twice: 'recordings="a=b/c"'"""),
        ("evaluate.py", "recordings=réc", """quote it twice: 'recordings="réc"'"""),
        ("evaluate.py", "recordings=a[1]/(b)", """quote it twice: 'recordings="a[1]/(b)"'"""),
        ("evaluate.py", "recordings=a,b", "recordings=a,b: a comma separates the values"),
        ("evaluate.py", "recordings=/" + "x" * 300, "File name too long"),
        ("evaluate.py", "hydra.run.dir=/proc/none", "Error: /proc/none: No such file"),
        ("evaluate.py", "cascade=stages", "cascade.stages: a value is needed"),
        ("evaluate.py", "experiment=sst2_minilm", "it chooses data, which this command"),
        ("evaluate.py", "logger.wandb.projct=x", "did you mean 'project'?"),
        (
            "evaluate.py",
            "experiment=rivals",
            "this option was renamed; expected experiment=speed_ups",
        ),
        ("train.py", "trainer.options.max_steps=3", "to add it: +trainer.options.max_steps=…"),
        ("train.py", "trainer.max_epoch=3", "did you mean 'max_epochs'?"),
        ("train.py", "models.members.resnet_16px.architecure=x", "architecture"),
    ],
)
def test_one_line_says_what_was_wrong(tmp_path, script, override, said):
    done = run(str(ROOT / script), override, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1, done.stderr
    assert len(errors) == 1 and said in errors[0], done.stderr
    assert "Traceback" not in done.stderr


def test_a_multirun_finishes_what_it_can_and_names_the_rest(tmp_path):
    from tests.recordings.making import make_recordings

    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 5.0}, size=60)
    done = run(
        str(ROOT / "evaluate.py"),
        "-m",
        "recordings=rec",
        "metric=max_softmax,nonsense,recorded,entropy",
        "logger=none",
        "hydra.sweep.dir=sweep",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "2 of 4 jobs failed; the others are done" in done.stderr
    assert "metric=nonsense: no such option" in done.stderr
    assert "Traceback" not in done.stderr
    finished = sorted(p.parts[-3] for p in tmp_path.glob("sweep/*/results/summary.json"))
    assert len(finished) == 2


@pytest.mark.parametrize("arguments", [("--help",), ("--cfg", "job"), ("metrc=1",)])
@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_quick_answers_import_nothing_heavy(tmp_path, script, arguments):
    program = (
        "import runpy, sys, atexit\n"
        f"sys.argv = {[script, *arguments]!r}\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / script)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('IMPORTED', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = run("-c", program, cwd=tmp_path)  # a plain python
    assert done.stdout.splitlines()[-1] == "IMPORTED []", done.stdout[-500:] + done.stderr
