"""Tiers: several models that answer together as one stage of a cascade (Kolawole et al. 2024, CoE).

A :class:`TierPool` turns a pool of single models into a pool of tiers. How a tier votes is here;
means of logits or probabilities are those of ``ensembling``. Which tiers there are is
the caller's to say; searching over them lives in ``search.tiers``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import Confidence
from cascade_exp.cascade.costs import Parallel, tier_cost
from cascade_exp.cascade.ensembling import (
    MEANS,
    RECORDED,
    check_combination,
    check_mean,
    comparison,
)
from cascade_exp.cascade.pools.base import condition, conditions
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare, Floats, Ints, Stage
from cascade_exp.errors import CascadeError, choice

VOTE = "vote"
COMBINES = (VOTE, *MEANS)

ROUNDED = Fraction(5, 1000)
"""How far a decimal may lie above the share it was rounded from: 0.67 means 2/3."""


def check_tiers(metric: str, combine: str, ensemble: str) -> None:
    """Check that the three are known and go together (``docs/definitions.md#tiers``).

    A vote's confidence is its share of votes and nothing else; a mean's is any metric that its
    scores have. ``ensemble`` acts across tiers: a mean over all models that have run needs tiers of
    the same mean.

    Raises:
        CascadeError: naming the keys that do not.

    >>> check_tiers("vote", "vote", "none")
    >>> check_tiers("max_softmax", "vote", "none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: metric=max_softmax with cascade.combine=vote: ...
    """
    choice(combine, COMBINES, "cascade.combine")
    if (metric == VOTE) != (combine == VOTE):
        expected = "metric=vote" if combine == VOTE else "cascade.combine=vote"
        raise CascadeError(
            f"metric={metric} with cascade.combine={combine}: a vote's confidence is its share of "
            f"the votes, expected {expected}"
        )
    if combine == VOTE:
        if ensemble != "none":
            raise CascadeError(
                f"metric={VOTE} with ensemble={ensemble}: votes of tiers cannot be combined, "
                "expected ensemble=none"
            )
        return
    check_combination(metric, ensemble)
    if metric == RECORDED:
        raise CascadeError(
            f"metric={metric} with cascade.combine={combine}: recorded answers have no {combine}, "
            "expected combine=vote"
        )
    check_mean(metric, combine, "cascade.combine")
    if ensemble in MEANS and ensemble != combine:
        raise CascadeError(
            f"ensemble={ensemble} with cascade.combine={combine}: across tiers of one mean only "
            f"the same mean is taken, expected ensemble={combine}, comparison or none"
        )


def vote(predictions: Ints, scores: Floats) -> tuple[Ints, Floats]:
    """Plurality and share of votes of a tier: int64 [N] and float64 [N], a share being k / n.

    Ties: the class with the higher summed score of its voters, then the lower index
    (``docs/definitions.md#tiers``).

    Args:
        predictions: int64 [n, N], the class that each of n models names.
        scores: float64 [n, N], finite, how strongly: the probability of that class, or a black
            box's confidence.

    >>> answer, share = vote(np.array([[0, 1], [0, 2], [1, 2]]), np.full((3, 2), 0.9))
    >>> answer.tolist(), share.round(3).tolist()
    ([0, 2], [0.667, 0.667])

    Source: Kolawole et al. 2024, Eq. 3 (vote(x; H), the majority prediction H(x)).
    """
    n, size = predictions.shape
    scaled = scores * 2.0 ** -math.ceil(math.log2(n))  # exact, and its sums do not overflow
    answer = np.zeros(size, dtype=np.int64)
    votes, strength = np.zeros(size, dtype=np.int64), np.full(size, -np.inf)
    for candidate in predictions:
        voters = predictions == candidate
        count = voters.sum(axis=0)
        total = np.zeros(size)
        for voter, score in zip(voters, scaled, strict=True):
            total += np.where(voter, score, 0.0)
        tied, stronger = count == votes, total > strength
        lower = (total == strength) & (candidate < answer)
        wins = (count > votes) | (tied & (stronger | lower))
        answer[wins], votes[wins], strength[wins] = candidate[wins], count[wins], total[wins]
    return answer, votes / n


def vote_decided(
    predictions: Ints, members: int, threshold: float | None, compare: Compare = "ge"
) -> NDArray[np.bool_]:
    """Whether the votes so far decide what a tier does, whatever its other members answer: [N].

    Decided is an example that leaves for certain, with an answer that no vote can change, and one
    that no votes can make leave. Of the last tier (``threshold`` None) the answer decides.

    Args:
        predictions: int64 [k, N], what the first k of ``members`` models answer, k >= 1.

    >>> first_two = np.array([[0, 0], [0, 1]])
    >>> vote_decided(first_two, 3, 2 / 3).tolist(), vote_decided(first_two, 3, 1.0).tolist()
    ([True, False], [False, True])
    """
    left = members - len(predictions)
    votes = (predictions[:, None, :] == predictions[None, :, :]).sum(axis=0)  # for each one's class
    most = votes.max(axis=0)
    leader = np.take_along_axis(predictions, votes.argmax(axis=0)[None], axis=0)
    second = np.where(predictions == leader, 0, votes).max(axis=0)
    fixed = np.asarray(most > second + left)
    if threshold is None:
        return fixed
    least, greatest = most / members, (most + left) / members
    if compare == "gt":
        return np.asarray((fixed & (least > threshold)) | ~(greatest > threshold))
    return np.asarray((fixed & (least >= threshold)) | ~(greatest >= threshold))


def vote_threshold(given: str, members: int, compare: Compare = "ge") -> float:
    """The threshold k / n of a tier of ``members`` that ``given`` means.

    ``given`` is a fraction (``2/3``, taken exactly) or a number. Under ``ge`` k is the least with
    k / n >= given, under ``gt`` the largest with k / n <= given; a decimal is taken as rounded to
    two places, since 0.67, taken literally, would demand 3 of 3. Infinities stay as they are.

    >>> vote_threshold("2/3", 3) == vote_threshold("0.67", 3) == 2 / 3
    True
    >>> vote_threshold("2/3", 2), vote_threshold("1", 4)
    (1.0, 1.0)

    Raises:
        CascadeError: if it is no share of the votes.
    """
    if given.strip() in ("inf", "+inf", "-inf"):
        return float(given)
    try:
        share = Fraction(given)
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not 0 <= share <= 1:
        raise CascadeError(
            f"threshold.fixed={given}: expected a share of the votes from 0 to 1, as 2/3 or 0.67"
        )
    slack = Fraction(0) if "/" in given else min(ROUNDED, Fraction(1, 4 * members))
    if compare == "ge":
        return math.ceil((share - slack) * members) / members
    return math.floor((share + slack) * members) / members


def agreement_text(threshold: float, members: int, compare: Compare = "ge") -> str:
    """How many of a tier's ``members`` must agree for an example to leave there.

    >>> agreement_text(2 / 3, 3), agreement_text(1.0, 3), agreement_text(1 / 3, 3, "gt")
    ('at least 2 of 3 agree', 'all 3 agree', 'at least 2 of 3 agree')
    """
    if math.isinf(threshold):
        return condition("votes", threshold, compare)
    votes = range(1, members + 1)
    enough = [
        k
        for k in votes
        if (k / members >= threshold) and (compare == "ge" or k / members > threshold)
    ]
    if not enough:
        return "never"
    if enough[0] == 1:
        return "always"
    return (
        f"all {members} agree"
        if enough[0] == members
        else f"at least {enough[0]} of {members} agree"
    )


@dataclass
class TierPool:
    """Tiers of models on one split, as a :class:`~cascade_exp.cascade.pools.base.StagePool`.

    Make one with :meth:`build`.

    Attributes:
        names: the tiers, ``a+b+c``.
        cost: float64 [tiers], cost of running each.
        models: the single models; for a vote their confidences are the scores that part ties.
        tiers: by tier, indices into ``models``, as written.
        metric, combine, ensemble: as checked by :func:`check_tiers`.
        running, links: as given to :meth:`build`.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.confidence import make_metric
    >>> pool = TierPool.build(
    ...     three_models("max_softmax"),
    ...     [(0, 1), (2,)],
    ...     metric=make_metric("vote"),
    ...     combine="vote",
    ... )
    >>> pool.names, pool.cost.tolist(), pool.stage((0,)).confidence.tolist()
    (('small+medium', 'large'), [3.0, 5.0], [1.0, 0.5, 1.0, 1.0])
    >>> pool.describe((0, 1), [1.0], "ge")
    ['all 2 agree']
    """

    names: tuple[str, ...]
    cost: Floats
    models: LogitsPool
    tiers: tuple[tuple[int, ...], ...]
    metric: Confidence
    combine: str
    ensemble: str
    running: Floats
    links: Floats

    @classmethod
    def build(
        cls,
        models: LogitsPool,
        tiers: Iterable[Sequence[int]],
        *,
        metric: Confidence,
        combine: str,
        ensemble: str = "none",
        parallel: Parallel = "sum",
        running: Floats | None = None,
        links: Floats | None = None,
    ) -> TierPool:
        """Tiers of indices into ``models``; each costs its models' sum, or their largest.

        Args:
            running: float64 [models], cost of running each model in a tier, where that differs
                from what it costs alone.
            links: float64 [tiers], what is added to each tier's cost.

        Raises:
            CascadeError: for a tier that is empty or repeats a model; for metric, combine and
                ensemble that do not go together.
        """
        check_tiers(metric.name, combine, ensemble)
        held = tuple(tuple(tier) for tier in tiers)
        names = tuple("+".join(models.names[m] for m in tier) for tier in held)
        for tier, name in zip(held, names, strict=True):
            if not tier or len(set(tier)) != len(tier):
                raise CascadeError(f"tier '{name}': expected one or more different models")
        nothing = np.zeros(len(held))
        pool = cls(
            names,
            nothing,
            models,
            held,
            metric,
            combine,
            ensemble,
            models.cost if running is None else running,
            nothing if links is None else links,
        )
        pool.cost = pool.cost_of(parallel)
        return pool

    def cost_of(self, parallel: Parallel) -> Floats:
        """Cost float64 [tiers] of each tier if its models run one after another, or at once."""
        costs = [tier_cost(self.running[list(tier)], parallel) for tier in self.tiers]
        return np.array(costs) + self.links

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.models.size

    @property
    def prefix_free(self) -> bool:
        """Whether a stage depends on its own tier only: so without ensembling across tiers."""
        return self.ensemble == "none"

    @property
    def confidence(self) -> Confidence:
        """The share of votes, or the metric of the tiers' mean."""
        return self.metric

    def prefetch(
        self,
        inner: Collection[tuple[int, ...]],
        last: Collection[tuple[int, ...]],
        progress: Progress | None = None,
    ) -> None:
        """Nothing: stages are computed when they are asked for."""

    def describe(
        self, members: Sequence[int], thresholds: Sequence[float], compare: Compare
    ) -> list[str]:
        """When an example leaves each tier but the last, in words; of votes, how many agree."""
        if self.combine != VOTE:
            return conditions(self.confidence, thresholds, compare)
        sizes = [len(self.tiers[member]) for member in members]
        return [
            agreement_text(threshold, size, compare)
            for threshold, size in zip(thresholds, sizes, strict=False)
        ]

    def describe_shared(self, threshold: float, compare: Compare) -> str:
        """When an example leaves a tier of any size, in words: ``share of votes ≥ 2/3``."""
        share = None
        if self.combine == VOTE and math.isfinite(threshold):
            share = str(Fraction(threshold).limit_denominator(1000))
        return condition(self.confidence.label, threshold, compare, share)

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once the tiers ``members`` have run.

        Under a mean ensemble it is the mean over all models that have run, each counting once.
        """
        if self.prefix_free or len(members) == 1:
            return self._tier(self.tiers[members[-1]])
        if self.ensemble == "comparison":
            return reduce(comparison, (self._tier(self.tiers[m]) for m in members))
        return self._means.stage(_in_order({m for tier in members for m in self.tiers[tier]}))

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` [N, S] alone, all that is needed of a last stage."""
        if self.combine in MEANS and self.ensemble == "none":
            return self._means.final_statistics(_in_order(self.tiers[members[-1]]))
        return self.stage(members).statistics

    @cached_property
    def _means(self) -> LogitsPool:
        return replace(self.models, metric=self.metric, ensemble=self.combine)

    def _tier(self, tier: tuple[int, ...]) -> Stage:
        if self.combine != VOTE:
            return self._means.stage(_in_order(tier))
        voters = [self.models.stage((m,)) for m in _in_order(tier)]
        prediction, share = vote(
            np.stack([voter.prediction for voter in voters]),
            np.stack([voter.confidence for voter in voters]),
        )
        pool = self.models
        return Stage(
            confidence=share,
            prediction=prediction,
            statistics=pool.objective.statistics(prediction, None, pool.labels, pool.classes),
        )


def _in_order(members: Sequence[int] | set[int]) -> tuple[int, ...]:
    """The pool's order: a sum of floats depends on the order, the tier's name does not matter."""
    return tuple(sorted(members))
