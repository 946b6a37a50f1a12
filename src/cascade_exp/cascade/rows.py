"""Walking the rows of arrays that may be memory-mapped and larger than memory: chunks over threads.

What is computed from a chunk lives with its callers (``confidence``, ``ensembling``,
``calibration``), in compiled kernels that release the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.search.threads import Progress, Ticker, run_items, thread_count
from cascade_exp.errors import CascadeError

Logits = NDArray[np.floating[Any]]

CHUNK_BYTES = 1 << 22


def check_logits(logits: Logits, where: str) -> None:
    """Raise :class:`CascadeError` unless ``logits`` is float16, 32 or 64 [N, K] with K >= 1.

    >>> check_logits(np.zeros((2, 3), np.float16), "a.npy")
    >>> check_logits(np.zeros((2, 3), np.int64), "a.npy")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: a.npy: dtype int64, expected float16, float32 ...
    """
    if logits.ndim != 2 or logits.shape[1] < 1:
        raise CascadeError(f"{where}: shape {logits.shape}, expected [examples, classes]")
    if logits.dtype.kind != "f" or logits.dtype.itemsize > 8:
        raise CascadeError(f"{where}: dtype {logits.dtype}, expected float16, float32 or float64")


def float_rows(
    logits: Logits, chosen: slice | NDArray[np.int64]
) -> NDArray[np.float32 | np.float64]:
    """The ``chosen`` rows as a contiguous, read-only float32 or float64 array in native byte order.

    A view wherever it can be one. Read-only throughout, so that each kernel is compiled once per
    type and not again for arrays that may be written.

    >>> rows = float_rows(np.zeros((4, 3), np.float16), slice(1, 3))
    >>> rows.shape, str(rows.dtype), rows.flags.writeable
    ((2, 3), 'float32', False)
    """
    rows = np.asarray(logits[chosen])
    if rows.dtype.itemsize == 2:
        rows = rows.astype(np.float32)
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("=")).view()
    rows.flags.writeable = False
    return rows


def over_rows(
    size: int, row_bytes: int, work: Callable[[int, int], None], progress: Progress | None = None
) -> None:
    """Call ``work(start, stop)`` over chunks that cover rows ``0:size``, on every core at hand.

    Args:
        size: number of rows.
        row_bytes: bytes that one row brings in; a chunk brings in about 4 MiB.
        work: called from several threads, each time for other rows. Where it raises
            :class:`CascadeError`, the error of the lowest rows is raised here.
        progress: called with (rows done, size) from the calling thread as chunks finish.

    >>> squares = np.zeros(5)
    >>> def square(start: int, stop: int) -> None:
    ...     squares[start:stop] = np.arange(start, stop) ** 2
    ...
    >>> over_rows(5, 8, square)
    >>> squares.tolist()
    [0.0, 1.0, 4.0, 9.0, 16.0]
    """
    step = max(1, CHUNK_BYTES // max(row_bytes, 1))
    errors: dict[int, CascadeError] = {}

    def run(_: None, start: int) -> int:
        stop = min(start + step, size)
        try:
            work(start, stop)
        except CascadeError as error:
            errors[start] = error
            raise
        return stop - start

    ticker = Ticker(size, progress)
    if size <= step:
        ticker.add(run(None, 0) if size else 0)
        ticker.report()
        return
    try:
        run_items(range(0, size, step), [None] * thread_count(None), run, ticker)
    except CascadeError:
        raise errors[min(errors)] from None
