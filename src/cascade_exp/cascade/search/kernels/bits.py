"""Bit sets over examples: 64 examples a word, in the order of one stage's confidence.

Position y of an order is bit ``y % 64`` of word ``y // 64``. There are ``N // 64 + 1`` words, so
that the cutoffs 0..N have a bit each as well; bits beyond the examples are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

LANES = 32
"""Last models that a kernel handles side by side; models are cut into chunks of so many."""


@intrinsic
def popcount(typingctx: Any, word: Any) -> Any:
    """Number of bits set in a uint64, as uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@njit(nogil=True, cache=True)
def count(word):  # type: ignore[no-untyped-def]
    """Number of bits set in a uint64, as int64."""
    return np.int64(popcount(word))  # type: ignore[call-arg]


@njit(nogil=True, cache=True)
def lowest_bit(word):  # type: ignore[no-untyped-def]
    """Place of the lowest bit set in a uint64 other than 0."""
    return count((word & (~word + np.uint64(1))) - np.uint64(1))


@njit(nogil=True, cache=True)
def span(start, end):  # type: ignore[no-untyped-def]
    """The bits of a word from ``start`` up to and without ``end``, which may lie outside."""
    if end <= 0:  # a shift by a negative number means anything
        return np.uint64(0)
    upto = ~np.uint64(0) if end > 63 else (np.uint64(1) << np.uint64(end)) - np.uint64(1)
    if start <= 0:
        return upto
    return upto & (np.uint64(0) if start > 63 else ~np.uint64(0) << np.uint64(start))


@njit(nogil=True, cache=True)
def pack_flags(flags):  # type: ignore[no-untyped-def]
    """Words uint64 [len(flags) // 64 + 1] of flags bool or uint8 0/1.

    >>> [hex(int(word)) for word in pack_flags(np.array([1, 0, 1, 1], np.uint8))]
    ['0xd']
    """
    size = flags.shape[0]
    words = np.zeros(size // 64 + 1, np.uint64)
    for y in range(size):
        words[y >> 6] |= np.uint64(flags[y]) << np.uint64(y & 63)
    return words


@njit(nogil=True, cache=True)
def pack_lanes(order, lanes):  # type: ignore[no-untyped-def]
    """Words uint64 [L, N // 64 + 1] of lanes uint8 0/1 [N, L], in ``order`` int32 [N].

    >>> pack_lanes(np.array([1, 0], np.int32), np.array([[1, 0], [0, 1]], np.uint8)).tolist()
    [[2], [1]]
    """
    size = order.shape[0]
    width = lanes.shape[1]
    words = np.zeros((width, size // 64 + 1), np.uint64)
    block = np.zeros(width, np.uint64)
    for w in range(size // 64 + 1):
        block[:] = 0
        for y in range(64 * w, min(size, 64 * w + 64)):
            row = lanes[order[y]]
            shift = np.uint64(y & 63)
            for lane in range(width):
                block[lane] |= np.uint64(row[lane]) << shift
        for lane in range(width):
            words[lane, w] = block[lane]
    return words


@njit(nogil=True, cache=True)
def bit(words, y):  # type: ignore[no-untyped-def]
    """Bit ``y`` of a row of words, as int64."""
    return np.int64((words[y >> 6] >> np.uint64(y & 63)) & np.uint64(1))


@njit(nogil=True, cache=True)
def byte_counts(word):  # type: ignore[no-untyped-def]
    """Number of bits set in each byte of a uint64, in that byte."""
    pairs = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + (
        (pairs >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    return (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)


@njit(nogil=True, cache=True)
def steepest(gained, lost):  # type: ignore[no-untyped-def]
    """At least the most by which ``gained`` can outnumber ``lost`` in the first bits of a word.

    Exact at each byte's end and optimistic within: a byte's gains come before its losses.
    """
    ones = np.uint64(0x0101010101010101)
    reached = byte_counts(gained) * ones + np.uint64(0x4040404040404040)
    reached -= (byte_counts(lost) * ones) << np.uint64(8)
    top = np.uint64(0)
    for _ in range(8):
        top = max(top, reached & np.uint64(0xFF))
        reached >>= np.uint64(8)
    return np.int64(top) - 64


@njit(nogil=True, cache=True)
def draw_lines(below, order, other, start, end, step):  # type: ignore[no-untyped-def]
    """Fill the words ``start`` up to ``end`` of below uint64 [lines, W].

    Row g gets a bit, in ``order``, for each example whose rank at another stage, ``other`` int32
    [N] by example, is below the grid line ``g * step``.
    """
    lines = below.shape[0]
    end = min(end, below.shape[1])
    below[:, start:end] = 0
    for y in range(64 * start, min(64 * end, order.shape[0])):
        line = other[order[y]] // step + 1
        if line < lines:
            below[line, y >> 6] |= np.uint64(1) << np.uint64(y & 63)
    for line in range(1, lines):
        for w in range(start, end):
            below[line, w] |= below[line - 1, w]


@njit(nogil=True, cache=True)
def gather(order, values):  # type: ignore[no-untyped-def]
    """``values`` [N] in the order int32 [N].

    >>> gather(np.array([2, 0, 1], np.int32), np.array([5, 6, 7])).tolist()
    [7, 5, 6]
    """
    out = np.empty_like(values)
    for y in range(order.shape[0]):
        out[y] = values[order[y]]
    return out
