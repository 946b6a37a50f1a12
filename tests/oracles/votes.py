"""Votes counted one by one, and thresholds on them tried one by one."""

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import product


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


def undecided(so_far: list[int], members: int, threshold: float | None, compare: str) -> bool:
    """Whether some further votes, in some strength, lead a tier to do something else.

    What it does: leave with an answer, or not leave. Of equal numbers of votes any class may be the
    stronger, so that each of them is tried. ``threshold`` None: the last tier, where all leave.
    """
    outcomes = set()
    classes = [*range(5), *set(so_far)]  # one class that nobody named so far is among the five
    for rest in product(classes, repeat=members - len(so_far)):
        count = Counter([*so_far, *rest])
        most = max(count.values())
        share = most / members
        leaves = threshold is None or (share > threshold if compare == "gt" else share >= threshold)
        if not leaves:
            outcomes.add(None)
            continue
        outcomes |= {answer for answer, votes in count.items() if votes == most}
    return len(outcomes) > 1
