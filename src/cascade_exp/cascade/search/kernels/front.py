"""The counted front: the least total cost of any setting with at least m right answers.

``front`` float64 [N + 2] never falls with m; its last entry is +inf. ``witness`` int64
[N + 2, 1 + d] holds, wherever ``front[m] < front[m + 1]``, the rank and the cutoffs of the
best-ranked setting with exactly m right at that cost; elsewhere it is meaningless. Rank and cutoffs
compare lexicographically, so what is kept does not depend on the order of the offers.
"""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def precedes(rank, cutoffs, held):  # type: ignore[no-untyped-def]
    """Whether a setting comes before the one ``held`` (a row of ``witness``) in ties."""
    if rank != held[0]:
        return rank < held[0]
    for i in range(len(cutoffs)):
        if cutoffs[i] != held[i + 1]:
            return cutoffs[i] < held[i + 1]
    return False


@njit(nogil=True, cache=True)
def may_join(front, witness, most, least, rank, cutoffs):  # type: ignore[no-untyped-def]
    """Whether some setting with at most ``most`` right and at least ``least`` cost may be kept.

    ``cutoffs`` are the lexicographically least of the settings in question. At equal cost a setting
    is kept only if it has exactly ``most`` right, nothing of that cost has more, and it precedes.
    """
    if least < front[most]:
        return True
    if least > front[most] or front[most + 1] <= least:
        return False
    return precedes(rank, cutoffs, witness[most])


@njit(nogil=True, cache=True)
def offer(front, witness, right, cost, rank, cutoffs):  # type: ignore[no-untyped-def]
    """Let a setting with ``right`` right at total ``cost`` join; d cutoffs, any sequence.

    >>> import numpy as np
    >>> front, witness = np.full(4, np.inf), np.zeros((4, 2), np.int64)
    >>> offer(front, witness, 2, 3.0, 0, (1,))
    >>> offer(front, witness, 1, 5.0, 1, (0,))
    >>> front.tolist()
    [3.0, 3.0, 3.0, inf]
    """
    if not may_join(front, witness, right, cost, rank, cutoffs):
        return
    witness[right, 0] = rank
    for i in range(len(cutoffs)):
        witness[right, i + 1] = cutoffs[i]
    m = right
    while m >= 0 and front[m] > cost:
        front[m] = cost
        m -= 1
