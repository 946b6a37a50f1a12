"""Compiled inner loops of the search: arrays in, arrays out. What runs on what: ``search_*``.

Numba keeps the machine code on disk, keyed by the file of the outermost function alone; so that an
edited helper is never run stale, entries older than the newest source here are thrown away.
"""

from __future__ import annotations

from pathlib import Path


def _drop_stale_code() -> None:
    here = Path(__file__).parent
    newest = max(source.stat().st_mtime_ns for source in here.glob("*.py"))
    for index in here.glob("__pycache__/*.nbi"):
        if index.stat().st_mtime_ns < newest:
            index.unlink(missing_ok=True)


_drop_stale_code()
