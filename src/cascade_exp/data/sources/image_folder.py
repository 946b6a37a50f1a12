"""Images in folders, one folder a class: ``train/<class>/*`` and ``test/`` or ``val/``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cascade_exp.data.examples import Ints, Source, source_of
from cascade_exp.errors import CascadeError, did_you_mean

HELD_OUT = ("test", "val", "validation")


def load(root: str) -> Source:
    """Image files under ``root/train/<class>/`` and, if there, ``root/test/`` or ``root/val/``.

    Classes are the folders of train in alphabetical order, and images lie in them at any depth.
    Files are opened when a batch needs them. ``val`` (or ``validation``) is taken for the labelled
    test set where there is no ``test``. Folders beside these are noted as not read.

    Raises:
        CascadeError: if a folder is missing, a class has no image, or test has a class of its own.
    """
    base = Path(root)
    if not base.is_dir():
        raise CascadeError(f"data.root={root}: no such folder; expected one with train/<class>/")
    classes, train = _labelled(base / "train", None)
    held_out = next((base / name for name in HELD_OUT if (base / name).is_dir()), None)
    test = _labelled(held_out, classes)[1] if held_out else None
    unread = sorted(
        path.name
        for path in base.iterdir()
        if path.is_dir() and path.name[0] != "." and path not in (base / "train", held_out)
    )
    name = base.resolve().name
    notes = [
        f"{base / other} is not read: {held_out or 'a half of train'} is what results are reported "
        "on, and validation is carved out of train"
        for other in unread
    ]
    return source_of(name, "image", classes, train, test, notes=notes)


def _labelled(
    folder: Path, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[Ints, list[Path]]]:
    """(classes, (labels, files)) of one split; of these ``classes``, where they are given."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    found = (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
    if not found:
        raise CascadeError(f"{folder}: expected a folder with one folder of images per class")
    names = tuple(found) if classes is None else classes
    for name in found:
        if name not in names:
            raise CascadeError(
                f"{folder / name}: not a class of train{did_you_mean(name, names)}; "
                f"it has {', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
            )
    index = {name: i for i, name in enumerate(names) if name in found}
    pairs = make_dataset(folder, index, IMG_EXTENSIONS, allow_empty=True)
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    empty = set(index.values()) - set(labels.tolist())
    if empty:
        raise CascadeError(
            f"{folder / names[min(empty)]}: no image in it; expected {' '.join(IMG_EXTENSIONS)}"
        )
    return names, (labels, [Path(file) for file, _ in pairs])
