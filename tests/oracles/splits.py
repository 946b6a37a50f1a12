"""Stratified drawing, written as the definition reads: fractions, and every seating tried in turn.

Slow and obvious twin of ``cascade_exp.data.splitting.stratify``'s seat counts.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import ceil, floor


def seatings(sizes: list[int], take: int) -> list[tuple[int, ...]]:
    """All ways to draw ``take`` with each class within one of its proportional share."""
    total = sum(sizes)
    ranges = []
    for size in sizes:
        share = Fraction(size * take, total)
        ranges.append(range(max(0, ceil(share - 1)), min(size, floor(share + 1)) + 1))
    return [seats for seats in product(*ranges) if sum(seats) == take]


def missing(sizes: list[int], seats: tuple[int, ...]) -> int:
    """How many times a class of two or more examples is absent from one of the two sides."""
    return sum((s == 0) + (s == size) for size, s in zip(sizes, seats, strict=True) if size >= 2)


def least_missing(sizes: list[int], take: int) -> int:
    """The fewest absences that any seating within one of the shares leaves."""
    return min(missing(sizes, seats) for seats in seatings(sizes, take))
