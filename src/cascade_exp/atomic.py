"""Files and folders that are either whole or absent; like ``errors``, every part may import it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of ``path`` unless the block raises.

    For writers that want a path or a stream; it lies beside ``path``, on the same file system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``, which takes its place unless the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tag = secrets.token_hex(4)
    partial, old = (path.with_name(f".{path.name}.{tag}.{state}") for state in ("tmp", "old"))
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put the named files into ``folder``; all are on disk before the first takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    staged: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            staged[name] = folder / f".{name}.{secrets.token_hex(4)}.tmp"
            with staged[name].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, partial in staged.items():
            partial.replace(folder / name)
    finally:
        for partial in staged.values():
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    write_files(path.parent, {path.name: content})


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))
