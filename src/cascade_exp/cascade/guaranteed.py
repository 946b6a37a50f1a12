"""A setting with a guaranteed loss: Learn-then-Test by fixed-sequence testing.

With probability >= 1 - delta over the draw of the selection split, the chosen setting loses at most
epsilon of the reference model's score on new data from the same distribution. The split is halved:
candidates and their order come from one half, the tests run on the other; both on the same examples
would void the guarantee. Searching the candidates lives in ``search``.

With learned confidences the guarantee holds for the regressions fitted on the searching half, which
must then be the deployed ones (``tests/cascade/test_guaranteed_learned.py``).

The loss of one example is D = (reference right) - (cascade right), in [-1, 1]. A p-value for
H: E[D] > epsilon is a number that, under H, is at most u with probability at most u, for every u.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.cascade.selection import Choice, NotFeasible
from cascade_exp.cascade.stages import Floats, Ints, Outcome
from cascade_exp.errors import CascadeError

# Share of the largest bet that can be survived: 1 could lose everything to one example. Any value
# below 1 is valid; this one has the most power on splits of a few hundred examples.
_BOLDEST = 0.9


def split_halves(size: int, seed: int) -> tuple[Ints, Ints]:
    """Indices to search on, int64 [N // 2], and to test on, int64 [N - N // 2], both shuffled.

    The order of the second matters: :func:`betting` takes the examples one after another, and a
    split sorted by class is not a sequence of independent draws.

    >>> searched, tested = split_halves(5, seed=0)
    >>> len(searched), len(tested), sorted([*searched.tolist(), *tested.tolist()])
    (2, 3, [0, 1, 2, 3, 4])
    """
    order = np.random.default_rng(seed).permutation(size).astype(np.int64)
    return order[: size // 2], order[size // 2 :]


def loss_differences(reference: Outcome, cascade: Outcome) -> Floats:
    """D = reference's score - cascade's score, example by example, float64 [N] in [-1, 1].

    Raises:
        CascadeError: if the objective is no mean over examples, such as F1: it has no such D.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> pool = three_models()
    >>> large, small = (table_of(pool, (m,)).run([]) for m in (2, 0))
    >>> loss_differences(large, small).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    if reference.statistics.shape[1] != 1:
        raise CascadeError(
            "threshold.rules names guaranteed: expected an objective that is a mean over examples "
            f"(accuracy, topk_accuracy), found one of {reference.statistics.shape[1]} statistics"
        )
    return (reference.statistics[:, 0] - cascade.statistics[:, 0]).astype(np.float64)


def betting(differences: Floats, epsilon: float, delta: float) -> float:
    """P-value for E[D] > epsilon from D [N], independent draws in [-1, 1]: a gambler's capital.

    K_i = prod_{j <= i} (1 + lambda_j (epsilon - D_j)), with bets lambda_j that depend on earlier
    examples only and leave K_i positive, is a supermartingale under the hypothesis, so
    p = 1 / max_i K_i is valid (Ville's inequality) whatever the bets. These adapt to how often the
    two disagree: lambda_j = min(sqrt(2 log(1 / delta) / (N var_{j-1})), 0.9 / (1 - epsilon)) with
    var the running variance of D, started at 1. Source: Waudby-Smith & Ramdas, "Estimating means
    of bounded random variables by betting", 2024: predictable plug-in bets, one-sided.

    >>> betting(np.zeros(500), epsilon=0.05, delta=0.1) < 0.001  # they never differed
    True
    >>> betting(np.ones(500), epsilon=0.05, delta=0.1)  # the reference was always better
    1.0
    """
    size = len(differences)
    if not size:
        return 1.0
    seen = np.arange(2, size + 2)
    mean = np.cumsum(differences) / seen
    variance = (1 + np.cumsum((differences - mean) ** 2)) / seen
    earlier = np.concatenate([[1.0], variance[:-1]])
    bet = np.minimum(np.sqrt(2 * np.log(1 / delta) / (size * earlier)), _BOLDEST / (1 - epsilon))
    capital = np.cumsum(np.log1p(bet * (epsilon - differences)))
    return float(np.exp(-max(capital.max(), 0.0)))


@dataclass(frozen=True)
class FixedSequence:
    """What fixed-sequence testing found.

    Attributes:
        accepted: how many hypotheses were rejected in a row from the first on: so many candidates
            keep the promise.
        p_values: of the candidates tested, the last of them being the first that failed, if any.

    >>> fixed_sequence([0.2], delta=0.1)
    FixedSequence(accepted=0, p_values=(0.2,))
    """

    accepted: int
    p_values: tuple[float, ...]


def fixed_sequence(p_values: Iterable[float], delta: float) -> FixedSequence:
    """Reject one hypothesis after the other while p <= delta, and stop at the first that is not.

    The chance of any false rejection is at most delta, however many are tested (Angelopoulos et
    al. 2021, Learn then Test). ``p_values`` are consumed only as far as they are tested.

    >>> fixed_sequence([0.01, 0.04, 0.2, 0.01], delta=0.1)
    FixedSequence(accepted=2, p_values=(0.01, 0.04, 0.2))
    """
    tested: list[float] = []
    for p_value in p_values:
        tested.append(p_value)
        if not p_value <= delta:
            return FixedSequence(len(tested) - 1, tuple(tested))
    return FixedSequence(len(tested), tuple(tested))


def guaranteed(
    front: Sequence[FrontPoint],
    differences: Callable[[FrontPoint], Floats],
    epsilon: float,
    delta: float,
) -> Choice:
    """The cheapest setting of a front that provably loses at most epsilon, or why there is none.

    Args:
        front: found on the searching half; its order by falling score, which is also by falling
            cost, is the order of the tests, from the safest to the cheapest.
        differences: D float64 [N] of a setting on the testing half, in the shuffled order of
            :func:`split_halves`.
        epsilon: largest loss of score, 0 <= epsilon < 1. delta: largest chance of breaking it.

    Raises:
        CascadeError: if epsilon or delta is out of range.

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((1,), (), 5.0, 0.9, 5.0)]
    >>> lost = {(0,): np.full(500, 0.2), (1,): np.zeros(500)}
    >>> guaranteed(front, lambda point: lost[point.members], epsilon=0.05, delta=0.1).members
    (1,)
    >>> isinstance(
    ...     guaranteed(front, lambda point: np.ones(9), epsilon=0.05, delta=0.1), NotFeasible
    ... )
    True
    """
    if not 0 <= epsilon < 1:
        raise CascadeError(f"threshold.epsilon={epsilon}: expected 0 <= epsilon < 1")
    if not 0 < delta < 1:
        raise CascadeError(f"threshold.delta={delta}: expected 0 < delta < 1")
    ordered = sorted(front, key=lambda point: (-point.score, -point.cost))
    found = fixed_sequence((betting(differences(p), epsilon, delta) for p in ordered), delta)
    if found.accepted:
        return ordered[found.accepted - 1]
    if not ordered:
        return NotFeasible("the front is empty")
    size = len(differences(ordered[0]))
    return NotFeasible(
        f"on the {size} examples left for testing, a loss of more than {epsilon:.8g} cannot be "
        f"ruled out even for the safest setting: p={found.p_values[0]:.3g}, above delta={delta:.8g}"
    )
