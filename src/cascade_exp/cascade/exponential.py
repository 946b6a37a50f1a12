"""exp(y - max y) of rows, with the bits of NumPy's exponential and several times its speed.

Where NumPy hands each float64 to the C library (as on x86 without AVX-512), it computes one number
at a time. The kernel here is the C library's own algorithm (glibc 2.28 and later, after Szabolcs
Nagy, ARM optimized routines): e^x = 2^(k/128) e^r with a table of 2^(i/128) and a polynomial in r,
every multiply-add fused. Written as a loop without branches it becomes vector instructions. Before
its first use in a process it is compared with ``numpy.exp`` bit by bit; where they differ, as with
another C library, NumPy computes.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.floating]

STEPS = 128
LEAST, NOTHING = -512.0, -746.0
"""Between the two the kernel leaves the exponential to NumPy; below the second it is 0."""
LOWEST = -float(np.finfo(np.float64).max)
CHECKED = 1 << 16


def _table() -> tuple[Floats, Ints]:
    """2^(i/128) = scale (1 + tail): the tails, and the scales' bits less i / 128 of an exponent."""
    tails, scales = np.empty(STEPS), np.empty(STEPS, dtype=np.int64)
    with localcontext() as context:
        context.prec = 60
        for i in range(STEPS):
            exact = (Decimal(2).ln() * i / STEPS).exp()
            scale = float(exact)
            tails[i] = float(exact / Decimal(scale) - 1)
            scales[i] = int(np.float64(scale).view(np.int64)) - (i << 52) // STEPS
    return tails, scales


TAILS, SCALES = _table()
INVERSE = float.fromhex("0x1.71547652b82fep0") * STEPS  # 128 / log 2
HIGH, LOW = float.fromhex("-0x1.62e42fefa0000p-8"), float.fromhex("-0x1.cf79abc9e3b39p-47")
SHIFT = float.fromhex("0x1.8p52")  # added, it leaves a whole number in the lowest bits
C2, C3 = float.fromhex("0x1.ffffffffffdbdp-2"), float.fromhex("0x1.555555555543cp-3")
C4, C5 = float.fromhex("0x1.55555cf172b91p-5"), float.fromhex("0x1.1111167a4d017p-7")


def _fused_code(context, a, b, c):  # type: ignore[no-untyped-def]
    """a * b + c, rounded once."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), code


def _bits_code(context, a):  # type: ignore[no-untyped-def]
    """The bits of a float64 as an int64."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


def _from_bits_code(context, a):  # type: ignore[no-untyped-def]
    """The float64 of an int64's bits."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


_fused: Any = intrinsic(_fused_code)
_bits: Any = intrinsic(_bits_code)
_from_bits: Any = intrinsic(_from_bits_code)


@njit(nogil=True, cache=True, error_model="numpy")
def _exponentials(rows, best, temperature, shifted, found):  # type: ignore[no-untyped-def]
    """Fill ``shifted`` and ``found`` [n, K]; returns how many numbers are NumPy's to compute."""
    left = 0
    factor = 1.0 / temperature
    exact = math.frexp(temperature)[0] == 0.5 and 0.0 < factor < np.inf  # a power of two
    for n in range(rows.shape[0]):
        row, y, e = rows[n], shifted[n], found[n]
        top = np.float64(row[best[n]]) / temperature
        if exact:
            for j in range(row.size):
                y[j] = np.float64(row[j]) * factor - top
        else:
            for j in range(row.size):
                y[j] = np.float64(row[j]) / temperature - top
        for j in range(row.size):
            v = y[j]
            left += int(not (v <= 0.0)) + int(v < LEAST) - int(v < NOTHING) + int(v < LOWEST)
            x = v if v > LEAST else LEAST
            whole = _fused(INVERSE, x, SHIFT)
            k = _bits(whole)
            whole = whole - SHIFT
            r = _fused(whole, LOW, _fused(whole, HIGH, x))
            i = k & (STEPS - 1)
            scale = _from_bits(SCALES[i] + (k << 45))
            square = r * r
            rest = _fused(square, _fused(r, C3, C2), TAILS[i] + r)
            rest = _fused(square * square, _fused(r, C5, C4), rest)
            e[j] = 0.0 if v < NOTHING else _fused(scale, rest, scale)
    return left


@cache
def is_exact() -> bool:
    """Whether the kernel gives the bits of ``numpy.exp`` on this machine; compared once.

    >>> isinstance(is_exact(), bool)
    True
    """
    rng = np.random.default_rng(0)
    spread = np.repeat([1e-9, 1.0, 20.0, 512.0], CHECKED // 4)
    edges = [-0.0, LEAST, -(2.0**-60), NOTHING - 1, 0.0]  # the largest last
    x = np.append(-rng.random(CHECKED) * spread, edges)[None]
    shifted, found = np.empty_like(x), np.empty_like(x)
    x.flags.writeable = False
    left = _exponentials(x, np.array([x.shape[1] - 1]), 1.0, shifted, found)
    return bool(left == 0 and np.array_equal(found, np.exp(x)))


def exponentials(rows: Rows, best: Ints, temperature: float) -> tuple[Floats, Floats] | None:
    """v = y - max y and exp v, float64 [n, K] each, of y = rows / temperature.

    >>> found = exponentials(np.array([[0.0, 2.0]]), np.array([1]), 2.0)
    >>> found is None or np.array_equal(found[1], np.exp([[-1.0, 0.0]]))
    True

    Args:
        rows: float32 or float64 [n, K], contiguous, in native byte order. best: int64 [n], the
            class of the largest number of each row.

    Returns:
        None where this machine's ``numpy.exp`` has other bits, or some number is so far below its
        row's largest, or so large, that NumPy has to compute.
    """
    if not is_exact():
        return None
    shifted, found = np.empty(rows.shape), np.empty(rows.shape)
    left = _exponentials(rows, best, float(temperature), shifted, found)
    return (shifted, found) if left == 0 else None
