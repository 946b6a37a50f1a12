"""The example recordings are whole, small, and what their script makes of the originals."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.previews import read_class_names
from tests.data.shared import shared

EXAMPLES = Path(__file__).parents[1] / "examples" / "recordings"
RESNETS = EXAMPLES / "cifar10_resnets"


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_they_stay_small():
    assert sum(map(len, files(EXAMPLES).values())) < 1_000_000


def test_they_are_whole_and_their_readme_gives_their_accuracies():
    recordings = open_recordings(RESNETS)
    assert len(read_class_names(RESNETS, 10)) == 10
    readme = (RESNETS / "README.md").read_text()
    splits = [recordings.split(name) for name in ("selection", "report")]
    assert not set(splits[0].ids.tolist()) & set(splits[1].ids.tolist())
    for model in recordings.names:
        right = [(s.outputs[model].argmax(axis=1) == s.labels).mean() for s in splits]
        assert [s.outputs[model].dtype for s in splits] == [np.float16] * 2
        row = next(line for line in readme.splitlines() if line.startswith(f"| {model} |"))
        assert row.endswith(f"| {right[0]:.1%} | {right[1]:.1%} |".replace("%", " %")), row


@pytest.mark.real_data
def test_the_script_makes_them_again(tmp_path):
    source = shared("data/recordings/cifar10_jpeg_resnets")
    spec = importlib.util.spec_from_file_location("make", EXAMPLES / "make_cifar10_resnets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.copy_rounded(source, tmp_path)
    assert files(tmp_path) == files(RESNETS)
