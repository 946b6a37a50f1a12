"""Lightning's checkpoints as files that are whole or absent, each with its checksum beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from typing_extensions import override

from cascade_exp.atomic import check_sha256, replacing, sha256_of, write_text
from cascade_exp.errors import CascadeError, one_line

SUM = ".sha256"


class CheckedCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it; reads one only if it is undamaged."""

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        for left in target.parent.glob(f".{target.name}.*.tmp"):  # of a process that was killed
            left.unlink(missing_ok=True)
        with replacing(target) as partial:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            # also the checksum of the file that is there until the rename
            write_text(_sum_of(target), "\n".join([sha256_of(partial), *_sums(target)[:1], ""]))

    @override
    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        check_checkpoint(Path(path))
        loaded: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        return loaded

    @override
    def remove_checkpoint(self, path: Any) -> None:
        super().remove_checkpoint(path)
        _sum_of(Path(path)).unlink(missing_ok=True)


def check_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that cannot be loaded as it was saved; it is never unpickled freely.

    Raises:
        CascadeError: if it is damaged, cut short, or holds more than weights and plain values.
    """
    sums = _sums(path)
    if sums and path.is_file() and sha256_of(path) in sums:
        return
    if sums:
        check_sha256(path, sums[0], str(_sum_of(path)))
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch, zipfile and pickle each fail in their own way
        reason = one_line(error).split(". ")[0]
        raise CascadeError(
            f"{path}: not a checkpoint that torch loads with weights_only=True ({reason})"
        ) from None


def usable(path: Path) -> bool:
    """Whether ``path`` is a checkpoint that can be resumed from; a damaged one counts as none."""
    try:
        check_checkpoint(path)
    except (CascadeError, OSError):
        return False
    return True


def drop_checkpoints(folder: Path) -> None:
    """Remove a fit's checkpoints below ``folder``, and the folders that are empty without them."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*.ckpt")):
        path.unlink(missing_ok=True)
        _sum_of(path).unlink(missing_ok=True)
    below = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    for place in (*below, folder, folder.parent):
        if not any(place.iterdir()):
            place.rmdir()


def _sum_of(path: Path) -> Path:
    return path.with_name(path.name + SUM)


def _sums(path: Path) -> list[str]:
    try:
        return _sum_of(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []
