"""Post-hoc deferral: a stage's confidence, learned from its outputs (``metric=learned``).

A logistic regression of whether a stage's answer is right, on its original confidence and the class
it answered: services and models are not equally confident of each class (Narasimhan et al. 2022;
Jitkrittum et al. 2023). It is fitted on the selection split only. The selection split's own scores
are cross-fitted, each example scored by a regression that has not seen it, as thresholds chosen on
scores of the regression's own training examples would be optimistic; other splits are scored by one
regression of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from typing_extensions import override

from cascade_exp.cascade.confidence import Confidence, make_metric
from cascade_exp.cascade.pools.base import StagePool, WrappedPool
from cascade_exp.cascade.stages import Floats, Ints, Stage
from cascade_exp.errors import CascadeError

LEARNED = "learned"

RARE = 20
"""A class answered less often than this has no term of its own."""

MOST_CLASSES = 64
"""Classes with a term of their own, the most frequent ones."""

_FAR = 30.0  # spreads from the middle, beyond which confidences are as good as equal


@dataclass(frozen=True)
class DeferralModel:
    """The probability that an answer is right: 1 / (1 + exp(-(offset + slope u + offsets[class]))).

    u is the confidence less ``center``, in ``scale``, cut to ±30.

    Attributes:
        classes: int64 [C], classes with a term of their own; offsets: float64 [C].

    >>> confidence = np.array([0.1, 0.2, 0.8, 0.9] * 10)
    >>> model = DeferralModel.fit(
    ...     confidence, np.zeros(40, np.int64), (confidence > 0.5).astype(np.int64)
    ... )
    >>> (model.score(np.array([0.1, 0.9]), np.array([0, 0])) > 0).tolist()
    [False, True]
    """

    center: float
    scale: float
    slope: float
    offset: float
    classes: Ints
    offsets: Floats

    @classmethod
    def fit(cls, confidence: Floats, prediction: Ints, right: Ints) -> DeferralModel:
        """Fit by penalised maximum likelihood (scikit-learn's ``LogisticRegression``, C = 1).

        Args:
            confidence: float64 [N], finite. prediction: int64 [N]. right: int64 [N], 0 or 1.

        Where all answers are right, or all wrong, there is nothing to learn: a constant. A slope
        below 0, of a confidence that misleads, is kept.
        """
        low, center, high = np.percentile(confidence, [25, 50, 75]).tolist()
        with np.errstate(over="ignore"):
            spread = min(float(np.subtract(high, low)), float(np.finfo(np.float64).max))
        scale = spread if spread > 0 else 1.0
        known, counts = np.unique(prediction, return_counts=True)
        often = known[np.argsort(-counts, kind="stable")][:MOST_CLASSES]
        classes = np.sort(often[counts[np.searchsorted(known, often)] >= RARE]).astype(np.int64)
        share = float(right.mean())
        none = cls(center, scale, 0.0, 0.0, classes[:0], np.zeros(0))
        if share in (0.0, 1.0):
            return replace(none, offset=_FAR if share else -_FAR)
        from sklearn.linear_model import LogisticRegression

        u = none._standard(confidence)
        features = np.column_stack([u, prediction[:, None] == classes])
        found = LogisticRegression(C=1.0, max_iter=1000).fit(features, right)
        slope, offsets = float(found.coef_[0, 0]), found.coef_[0, 1:].astype(np.float64)
        return cls(center, scale, slope, float(found.intercept_[0]), classes, offsets)

    def score(self, confidence: Floats, prediction: Ints) -> Floats:
        """The log-odds float64 [N] that each answer is right: higher is more confident."""
        term = np.zeros(len(prediction))
        if len(self.classes):
            place = np.minimum(np.searchsorted(self.classes, prediction), len(self.classes) - 1)
            term = np.where(self.classes[place] == prediction, self.offsets[place], 0.0)
        return np.asarray(self.offset + self.slope * self._standard(confidence) + term)

    def _standard(self, confidence: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.clip((confidence - self.center) / self.scale, -_FAR, _FAR)


@dataclass
class Deferral:
    """Deferral models by stage, each fitted when it is first asked for.

    Attributes:
        pool: the selection split's stages with their original confidence.
        right: whether a stage's answers on that split are right, int64 [N].
        rows: int64, the examples of it that may be learned from.
        folds: how many parts these are cut into, seeded by ``seed``, for cross-fitting.

    >>> from cascade_exp.cascade.examples import three_models
    >>> pool = three_models()
    >>> deferral = Deferral(
    ...     pool, lambda stage: stage.statistics[:, 0], np.arange(4), folds=2, seed=0
    ... )
    >>> sorted(deferral.fold_of_rows().tolist())
    [0, 0, 1, 1]
    """

    pool: StagePool
    right: Callable[[Stage], Ints]
    rows: Ints
    folds: int
    seed: int
    _fitted: dict[tuple[int, ...], tuple[DeferralModel, tuple[DeferralModel, ...]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if not 2 <= self.folds <= max(len(self.rows), 1):
            raise CascadeError(
                f"metric.folds={self.folds}: expected 2 to {len(self.rows)}, the examples that "
                "metric=learned may learn from"
            )

    def fold_of_rows(self) -> Ints:
        """Per example of the selection split, its fold; -1 where nothing learned from it."""
        fold = np.full(self.pool.size, -1, dtype=np.int64)
        shuffled = np.random.default_rng(self.seed).permutation(self.rows)
        fold[shuffled] = np.arange(len(shuffled)) % self.folds
        return fold

    def models(self, members: tuple[int, ...]) -> tuple[DeferralModel, tuple[DeferralModel, ...]]:
        """The stage's model of all rows, and by fold the one that has not seen that fold."""
        if members not in self._fitted:
            stage, fold = self.pool.stage(members), self.fold_of_rows()
            right = self.right(stage)

            def fit(rows: Ints) -> DeferralModel:
                return DeferralModel.fit(
                    stage.confidence[rows], stage.prediction[rows], right[rows]
                )

            unseen = tuple(
                fit(np.flatnonzero((fold >= 0) & (fold != part))) for part in range(self.folds)
            )
            self._fitted[members] = fit(self.rows), unseen
        return self._fitted[members]


@dataclass
class LearnedPool(WrappedPool):
    """The stages of ``base`` with the learned confidence of a :class:`Deferral`.

    Attributes:
        fold: int64 [N], per example the fold of the deferral that it was learned in, else -1.

    >>> from cascade_exp.cascade.examples import three_models
    >>> pool = three_models()
    >>> deferral = Deferral(
    ...     pool, lambda stage: stage.statistics[:, 0], np.arange(4), folds=2, seed=0
    ... )
    >>> learned = LearnedPool(pool, deferral, np.full(4, -1))
    >>> learned.confidence.label, (learned.stage((2,)).confidence > 0).tolist()
    ('learned log-odds of a right answer', [True, True, True, True])
    """

    deferral: Deferral
    fold: Ints

    @property
    @override
    def confidence(self) -> Confidence:
        return make_metric(LEARNED)

    @override
    def stage(self, members: tuple[int, ...]) -> Stage:
        unlearned = self.base.stage(members)
        whole, unseen = self._models(members)
        confidence = whole.score(unlearned.confidence, unlearned.prediction)
        for part, model in enumerate(unseen):
            rows = np.flatnonzero(self.fold == part)
            confidence[rows] = model.score(unlearned.confidence[rows], unlearned.prediction[rows])
        return replace(unlearned, confidence=confidence + 0.0)

    def model(self, members: tuple[int, ...]) -> DeferralModel:
        """The stage's model of all that may be learned from: what a deployment scores it with."""
        return self._models(members)[0]

    def _models(self, members: tuple[int, ...]) -> tuple[DeferralModel, tuple[DeferralModel, ...]]:
        return self.deferral.models(members[-1:] if self.prefix_free else members)
