"""Votes counted one by one, and thresholds on them tried one by one."""

from collections import defaultdict
from fractions import Fraction


def plurality(votes: list[int], scores: list[float]) -> tuple[int, float]:
    """The class with most votes, then the higher summed score, then the lower index; its share."""
    count, total = defaultdict(int), defaultdict(float)
    for answer, score in zip(votes, scores, strict=True):
        count[answer] += 1
        total[answer] += score
    best = min(count, key=lambda answer: (-count[answer], -total[answer], answer))
    return best, count[best] / len(votes)


def demanded(threshold: Fraction, members: int) -> int:
    """How many of ``members`` votes reach ``threshold``; members + 1 where none do."""
    return next((k for k in range(members + 1) if Fraction(k, members) >= threshold), members + 1)
