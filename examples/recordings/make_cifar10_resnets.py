"""Make ``cifar10_resnets`` out of the full-precision recordings that it is a float16 copy of.

    uv run python examples/recordings/make_cifar10_resnets.py source=path/to/cifar10_jpeg_resnets

``source`` holds the logits of four published ResNets on 10,000 CIFAR-10 test images stored
as JPEG (README.md beside the recordings). Every example is kept; logits are rounded to float16.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.write import save_array

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SPLITS = ("selection", "report")


def copy_rounded(source: Path, target: Path) -> None:
    """Copy the recordings ``source`` to ``target``, logits as float16.

    Raises:
        CascadeError: if ``source`` is no recordings folder.
        ValueError: if a logit is too large for float16.
    """
    recordings = open_recordings(source)
    target.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        split = recordings.split(name)
        (target / name).mkdir(exist_ok=True)
        for model, logits in split.outputs.items():
            rounded = np.asarray(logits, dtype=np.float16)
            if not np.isfinite(rounded).all():
                raise ValueError(f"{split.file_of(model)}: a logit that float16 cannot hold")
            save_array(target / name / f"{model}.npy", rounded)
        save_array(target / name / "labels.npy", split.labels)
        if split.ids is not None:
            save_array(target / name / "ids.npy", split.ids)
    (target / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    shutil.copyfile(source / "models.csv", target / "models.csv")


if __name__ == "__main__":
    given = OmegaConf.merge({"source": "???"}, OmegaConf.from_cli())
    copy_rounded(Path(given.source), Path(__file__).parent / "cifar10_resnets")
