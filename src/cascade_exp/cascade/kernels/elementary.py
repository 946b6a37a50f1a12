"""The elementary functions of the row passes: exp, log, a pairwise sum, float16 to float32.

Written as straight arithmetic so that LLVM turns a loop over a row into vector instructions (a call
to libm in the loop would forbid that), and with explicit fused multiply-adds and a fixed order of
summation so that the same recording gives the same bits on every machine and for every chunking.
What the rows mean lives in ``scores``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LOG2E = 1.0 / math.log(2.0)
LN2_HIGH = float.fromhex("0x1.62e42fefa38p-1")  # 42 bits: n * LN2_HIGH is exact for |n| < 2048
LN2_LOW = float.fromhex("0x1.ef35793c7673p-45")  # log 2 - LN2_HIGH
TO_INTEGER = 1.5 * 2.0**52  # adding it rounds to an integer, held in the low bits
SMALLEST_NORMAL = 2.0**-1022


def _emit_fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


_fma: Any = intrinsic(_emit_fma)


def _emit_bits_of(typing_context: Any, x: Any) -> Any:
    """The 64 bits of a float64 as an int64."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), emit


_bits_of: Any = intrinsic(_emit_bits_of)


def _emit_float_of(typing_context: Any, bits: Any) -> Any:
    """The float64 whose bits an int64 holds."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), emit


_float_of: Any = intrinsic(_emit_float_of)


def _emit_float32_of(typing_context: Any, bits: Any) -> Any:
    """The float32 whose bits an int32 holds."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), emit


_float32_of: Any = intrinsic(_emit_float32_of)


_TAYLOR = tuple(1.0 / math.factorial(k) for k in range(14))
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = _TAYLOR[2:]


@njit(cache=True, inline="always", error_model="numpy")
def exp_of_nonpositive(x: Any) -> Any:
    """Return e^x for -1000 <= x <= 0 to within 1 ulp; exact at 0, subnormal and then 0 below -708.

    Cody and Waite's reduction x = n log 2 + r, |r| <= 0.35, and the Taylor series of e^r to r^13,
    whose remainder is below 1e-17.
    """
    shifted = _fma(x, LOG2E, TO_INTEGER)
    n = shifted - TO_INTEGER
    r = _fma(n, -LN2_LOW, _fma(n, -LN2_HIGH, x))
    p = _fma(_T13, r, _T12)
    p = _fma(p, r, _T11)
    p = _fma(p, r, _T10)
    p = _fma(p, r, _T9)
    p = _fma(p, r, _T8)
    p = _fma(p, r, _T7)
    p = _fma(p, r, _T6)
    p = _fma(p, r, _T5)
    p = _fma(p, r, _T4)
    p = _fma(p, r, _T3)
    p = _fma(p, r, _T2)
    e = 1.0 + _fma(r * r, p, r)
    exponent = _bits_of(shifted) - _bits_of(TO_INTEGER)
    half = exponent >> 1  # two factors, as 2^n itself may lie below the normal range
    return e * _float_of((half + 1023) << 52) * _float_of((exponent - half + 1023) << 52)


# log((1 + s) / (1 - s)) = 2 s + s * R(s^2): the coefficients of FreeBSD's e_log.c, |error| < 2^-58
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (
    float.fromhex("0x1.5555555555593p-1"),
    float.fromhex("0x1.999999997fa04p-2"),
    float.fromhex("0x1.2492494229359p-2"),
    float.fromhex("0x1.c71c51d8e78afp-3"),
    float.fromhex("0x1.7466496cb03dep-3"),
    float.fromhex("0x1.39a09d078c69fp-3"),
    float.fromhex("0x1.2f112df3e5244p-3"),
)
_SQRT_HALF_BITS = np.int64(np.float64(math.sqrt(0.5)).view(np.int64))


@njit(cache=True, inline="always", error_model="numpy")
def log_of_normal(x: Any) -> Any:
    """Return log x for normal x > 0 to within 1 ulp (the method of FreeBSD's e_log.c)."""
    exponent = (_bits_of(x) - _SQRT_HALF_BITS) >> 52
    f = _float_of(_bits_of(x) - (exponent << 52)) - 1.0
    n = float(exponent)
    s = f / (2.0 + f)
    z = s * s
    r = _fma(_fma(_fma(_fma(_fma(_fma(_L7, z, _L6), z, _L5), z, _L4), z, _L3), z, _L2), z, _L1) * z
    half_square = 0.5 * f * f
    return n * LN2_HIGH - ((half_square - (s * (half_square + r) + n * LN2_LOW)) - f)


@njit(cache=True, error_model="numpy")
def pairwise_sum(terms: NDArray[np.float64], width: int) -> float:
    """Sum ``terms[:width]`` by halves, in place (they are lost); ``width`` is a power of two."""
    while width > 1:
        width //= 2
        for i in range(width):
            terms[i] += terms[i + width]
    return float(terms[0])


@njit(cache=True, nogil=True, error_model="numpy")
def widen_half(bits: NDArray[np.uint16], out: NDArray[np.float32]) -> None:
    """Write the numbers whose float16 bits are ``bits`` into ``out``, exactly; both flat.

    NumPy's own cast goes number by number. A normal half has its exponent raised by 112, infinities
    and NaNs once more; a subnormal or zero is its integer times 2^-24.
    """
    for i in range(bits.size):
        half = np.int32(bits[i])
        magnitude = half & np.int32(0x7FFF)
        raised = (magnitude << np.int32(13)) + np.int32(112 << 23)
        raised = raised + np.int32(112 << 23) if magnitude >= np.int32(0x7C00) else raised
        small = np.float32(magnitude) * np.float32(2.0**-24)
        value = small if magnitude < np.int32(0x400) else _float32_of(raised)
        out[i] = -value if half & np.int32(0x8000) else value
