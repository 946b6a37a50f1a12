"""The mean stages of many pairs and triples of models at once, in one pass over their rows.

Alone, each stage reads the logits of all of its members (``ensembling``). Here a block of rows of
all models is read once, and every pair and triple of the block is computed from what a core's cache
holds. A pair's sum is made once for all triples that begin with it, and of a triple only the
classes are added up that can win: class j cannot where, k being the pair's best class,

    sum[j] + max_t y_t[j] < sum[k] + min_t y_t[k]    over the third models t,

since rounding keeps the order of sums. Sums, scores and answers are those of ``ensembling`` to the
last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import RowFunction, not_finite
from cascade_exp.cascade.ensembling import MEANS, Member
from cascade_exp.cascade.row_scan import LANES, best_two
from cascade_exp.cascade.rows import float_rows, over_rows
from cascade_exp.cascade.search.threads import Progress

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[int, int]

LARGE = 1e300
"""Scores beyond it may overflow in a sum; their tuples are left to ``ensembling``."""


@dataclass(frozen=True)
class ScoredTuples:
    """What P pairs and the triples that begin with them answer on N examples.

    >>> models = [Member(np.array([z]), 1.0, "m") for z in ([2.0, 0.0], [0.0, 1.0], [0.0, 9.0])]
    >>> found = score_tuples("mean_logits", models, {(0, 1): [2]}, [], len, np.array([1]))
    >>> found.right_of((0, 1)).tolist(), found.right_of((0, 1, 2)).tolist()
    ([False], [True])

    Attributes:
        pairs: the row of each pair below. triples: the row of each triple in ``triple_right``.
        scored: the pairs that have a confidence. confidence: float64 [P, N].
        prediction: int32 [P, N]. right: bool [P, N], triple_right: bool [T, N], whether the answer
            is the label.
    """

    pairs: dict[Pair, int]
    triples: dict[tuple[int, int, int], int]
    scored: frozenset[Pair]
    confidence: Floats
    prediction: NDArray[np.int32]
    right: NDArray[np.bool_]
    triple_right: NDArray[np.bool_]

    def right_of(self, members: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Whether the answer of a pair or triple is the label, bool [N]; None where unknown."""
        if len(members) == 2:
            p = self.pairs.get((members[0], members[1]))
            return None if p is None else self.right[p]
        t = self.triples.get((members[0], members[1], members[2])) if len(members) == 3 else None
        return None if t is None else self.triple_right[t]


def score_tuples(
    ensemble: str,
    members: Sequence[Member],
    thirds: Mapping[Pair, Sequence[int]],
    scored: Sequence[Pair],
    function: RowFunction,
    labels: Ints,
    progress: Progress | None = None,
) -> ScoredTuples | None:
    """Answers of pairs and triples, and the confidence ``function`` of the pairs ``scored``.

    >>> models = [Member(np.array([z]), 1.0, "m") for z in ([2.0, 0.0], [0.0, 1.0], [0.0, 9.0])]
    >>> found = score_tuples("mean_logits", models, {(0, 1): [2]}, [], len, np.array([1]))
    >>> found.prediction.tolist(), found.triple_right.tolist()
    ([[0]], [[True]])

    Args:
        ensemble: a key of ``ensembling.MEANS``. members: M models, all with the same [N, K].
        thirds: by pair, the third models of its triples. scored: some of the pairs.
        labels: int64 [N] in 0..K-1. progress: called with (rows done, N).

    Returns:
        None where a score is so large that a sum of three might overflow.

    Raises:
        CascadeError: naming source and row, for logits that are not finite.
    """
    size, classes = members[0].logits.shape
    pairs = {pair: p for p, pair in enumerate(thirds)}
    triples = {key: t for t, key in enumerate((*p, m) for p in thirds for m in thirds[p])}
    found = ScoredTuples(
        pairs,
        triples,
        frozenset(scored),
        np.empty((len(pairs), size)),
        np.empty((len(pairs), size), dtype=np.int32),
        np.empty((len(pairs), size), dtype=np.bool_),
        np.empty((len(triples), size), dtype=np.bool_),
    )
    models = {pair: np.array(thirds[pair], dtype=np.int64) for pair in pairs}
    later: dict[int, set[int]] = {}
    for pair in pairs:
        later.setdefault(pair[1], set()).update(thirds[pair])
    plan = _Plan(ensemble, found, models, {s: sorted(of) for s, of in later.items()}, function)
    too_large: list[int] = []

    def work(start: int, stop: int) -> None:
        scores = _scores(ensemble, members, start, stop)
        if scores is None:
            too_large.append(start)
        else:
            plan.score(scores, labels[start:stop], start)

    # chunks three times the usual: they are in no core's own cache anyway, and fewer calls are made
    over_rows(size, max(1, classes * 8 * len(members) // 3), work, progress)
    return None if too_large else found


def _scores(ensemble: str, members: Sequence[Member], start: int, stop: int) -> Floats | None:
    """What each member adds to a mean, float64 [M, n, K]; None where it is too large.

    Raises:
        CascadeError: naming source and row, for logits that are not finite.
    """
    scores = np.zeros((len(members), stop - start, members[0].logits.shape[1]))
    for member, sums in zip(members, scores, strict=True):
        rows = float_rows(member.logits, slice(start, stop))
        bad = MEANS[ensemble].add(rows, member.temperature, sums)
        if bad < 0 and not np.isfinite(sums).all():
            bad = int(np.argmin(np.isfinite(sums).all(axis=1)))
        if bad >= 0 and np.isfinite(rows[bad]).all():
            return None
        if bad >= 0:
            raise not_finite(rows[bad], start + bad, member.source)
    return None if np.abs(scores).max(initial=0.0) > LARGE else scores


@dataclass(frozen=True)
class _Plan:
    """What is computed of each block of rows."""

    ensemble: str
    found: ScoredTuples
    thirds: Mapping[Pair, Ints]
    later: Mapping[int, Sequence[int]]
    function: RowFunction

    def score(self, scores: Floats, labels: Ints, start: int) -> None:
        """Fill in columns ``start`` on, of the models' scores [M, n, K]."""
        found, (size, classes) = self.found, scores.shape[1:]
        sums, seconds, best = np.empty((size, classes)), np.empty(size), np.empty(size, np.int64)
        at, first_triple = slice(start, start + size), 0
        highest: dict[int, Floats] = {}
        for pair, p in found.pairs.items():
            models = self.thirds[pair]
            if pair[1] not in highest:
                later = self.later[pair[1]]
                highest[pair[1]] = _highest(scores, later) if later else sums
            _pair(
                scores,
                pair[0],
                pair[1],
                models,
                highest[pair[1]],
                labels,
                (sums, best, seconds),
                found.triple_right[first_triple : first_triple + len(models), at],
            )
            first_triple += len(models)
            found.prediction[p, at] = best
            found.right[p, at] = best == labels
            if pair in found.scored:
                block = MEANS[self.ensemble].block(sums, 2, best, seconds)
                found.confidence[p, at] = self.function(block)


def _highest(scores: Floats, models: Sequence[int]) -> Floats:
    """The largest score [n, K] of any of ``models``."""
    highest: Floats = scores[models[0]].copy()
    for m in models[1:]:
        np.maximum(highest, scores[m], out=highest)
    return highest


@njit(nogil=True, cache=True, error_model="numpy")
def _pair(scores, first, second, thirds, highest, labels, pair, third_right):  # type: ignore[no-untyped-def]
    """Sums, best class and second-highest sum of a pair, and which of its triples are right.

    scores float64 [M, n, K]; thirds int64 [T]; highest float64 [n, K], at least the largest score
    of any third model; labels int64 [n]; pair: sums float64 [n, K], best int64 [n], seconds
    float64 [n], all filled; third_right bool [T, n], filled.
    """
    sums, best, seconds = pair
    classes = sums.shape[1]
    lanes = np.empty((3, LANES), np.float64)
    candidates = np.empty(classes, np.int64)
    for row in range(sums.shape[0]):
        z, one, other = sums[row], scores[first, row], scores[second, row]
        for j in range(classes):
            z[j] = one[j] + other[j]
        winner, seconds[row] = best_two(z, lanes)
        best[row] = winner
        if thirds.size == 0:
            continue
        least = scores[thirds[0], row, winner]
        for t in thirds:
            least = min(least, scores[t, row, winner])
        listed = _candidates(z, highest[row], z[winner] + least, candidates)
        label = labels[row]
        for i in range(thirds.size):
            y = scores[thirds[i], row]
            top, answer = -np.inf, winner
            for c in range(listed):
                j = candidates[c]
                value = z[j] + y[j]
                if value > top:
                    top, answer = value, j
            third_right[i, row] = answer == label


@njit(nogil=True, cache=True, error_model="numpy")
def _candidates(z, highest, floor, candidates):  # type: ignore[no-untyped-def]
    """List the classes j with z[j] + highest[j] >= floor, growing; returns how many they are."""
    listed = 0
    for start in range(0, z.size, LANES):
        some, most = z[start : start + LANES], highest[start : start + LANES]
        inside = 0
        for j in range(some.size):
            inside += int(some[j] + most[j] >= floor)
        if inside:
            for j in range(some.size):
                if some[j] + most[j] >= floor:
                    candidates[listed] = start + j
                    listed += 1
    return listed
