"""CIFAR-10 from one npz of arrays, or from class folders of image files."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from cascade_exp.data.examples import Ints, Source, source_of
from cascade_exp.data.sources import image_folder
from cascade_exp.errors import CascadeError

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
EXPECTED = f"an npz file with {', '.join(ARRAYS)}, or a folder with train/<class>/, test/<class>/"


def load(root: str) -> Source:
    """CIFAR-10, whole or in part: uint8 [N, 32, 32, 3] images of ten classes.

    Args:
        root: an npz file with ``train_images`` uint8 [N, 32, 32, 3], ``train_labels`` 0..9,
            ``test_images``, ``test_labels``; or a folder with exactly one; or a folder with the
            class folders ``train/airplane/`` … ``train/truck/`` and ``test/`` likewise.

    Raises:
        CascadeError: if there is neither, or the arrays or classes are not CIFAR-10's.
    """
    path = Path(root)
    if (path / "train").is_dir():
        source = image_folder.load(root)
        if source.classes != CLASSES:
            raise CascadeError(
                f"{path / 'train'}: classes {', '.join(source.classes[:12])}; "
                f"expected CIFAR-10's: {', '.join(CLASSES)}"
            )
        return replace(source, name="cifar10")
    files = [path] if path.is_file() else sorted(path.glob("*.npz"))
    if len(files) != 1:
        found = f"{len(files)} npz files in it" if path.is_dir() else "no such file or folder"
        raise CascadeError(f"data.root={root}: {found}; expected {EXPECTED}")
    arrays = _read(files[0])
    sets = [_checked(files[0], arrays, split) for split in ("train", "test")]
    return source_of("cifar10", "image", CLASSES, sets[0], sets[1])


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ARRAYS if name not in file]
            if missing:
                raise CascadeError(f"{path}: no array '{missing[0]}'; expected {EXPECTED}")
            return {name: file[name] for name in ARRAYS}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CascadeError(f"{path}: not an npz file that can be read: {error}") from error


def _checked(path: Path, arrays: dict[str, np.ndarray], split: str) -> tuple[Ints, np.ndarray]:
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
        raise CascadeError(
            f"{path}: {split}_images is {images.dtype} {list(images.shape)}; "
            "expected uint8 [N, 32, 32, 3]"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise CascadeError(
            f"{path}: {split}_labels is {labels.dtype} {list(labels.shape)}; "
            f"expected {len(images)} integers"
        )
    outside = np.flatnonzero((labels < 0) | (labels > 9))
    if len(outside):
        raise CascadeError(
            f"{path}: {split}_labels[{outside[0]}] is {labels[outside[0]]}; expected 0 to 9"
        )
    return labels.astype(np.int64), images
