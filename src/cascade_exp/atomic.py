"""Files and folders that are either whole or absent, their checksums, and locks on them.

Like ``errors``, every part may import it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cascade_exp.errors import CascadeError

_VERIFIED: dict[tuple[str, int, int, int], str] = {}
"""Checksums found by this process: by path, size, time of change and inode of the file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of ``path`` unless the block raises.

    For writers that want a path or a stream; it lies beside ``path``, on the same file system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _naming(path):
            yield partial
            partial.replace(path)
    finally:
        with suppress(OSError):
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


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file ``path``, which stays; yields whether it is held.

    The system releases it when the process ends, however it ends.

    Args:
        wait: until another process, or another user of the lock in this one, releases it; without
            it the block runs at once, with False where the lock is taken.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except (Timeout, FileNotFoundError):
        if wait:
            raise
        yield False  # taken, or another process has just removed the folder
        return
    try:
        yield True
    finally:
        lock.release()


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put the named files into ``folder``; all are on disk before the first takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    staged: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            staged[name] = folder / f".{name}.{secrets.token_hex(4)}.tmp"
            with _naming(folder / name), staged[name].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, partial in staged.items():
            with _naming(folder / name):
                partial.replace(folder / name)
    finally:
        for partial in staged.values():
            with suppress(OSError):
                partial.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name ``path`` in an OSError that names no file, or only the unfinished one beside it."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".tmp"):
            number, reason = error.errno or errno.EIO, error.strerror or str(error)
            raise OSError(number, reason, str(path)) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    write_files(path.parent, {path.name: content})


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def sha256_of(*files: Path) -> str:
    """sha256 (hex) over the bytes of ``files``, in the order given."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str, where: str) -> None:
    """Verify the checksum of ``path``, which is read once per process and time of change.

    Args:
        where: what states ``expected``, for the message.

    Raises:
        CascadeError: if the bytes of ``path`` have another sha256.
    """
    found = path.stat()
    mark = (str(path.resolve()), found.st_size, found.st_mtime_ns, found.st_ino)
    if mark not in _VERIFIED:
        _VERIFIED[mark] = sha256_of(path)
    if _VERIFIED[mark] != expected:
        raise CascadeError(
            f"{path}: damaged or changed: its sha256 begins with {_VERIFIED[mark][:12]}, {where} "
            f"states {str(expected)[:12]}; make it again, or restore it from a copy"
        )
