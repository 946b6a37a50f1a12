"""What a cascade is scored by: a function of per-example statistics that are summed over a split.

Because every objective is of that shape, one cumulative sum serves any of them at every threshold.
An objective is one class declared by :func:`objective`; its fields are its settings. Scores are
fractions 0..1; what an example costs lives in ``costs``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError, check_settings, choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Average = Literal["binary", "macro"]


class Objective(Protocol):
    """A score that is a function of summed statistics.

    ``additive`` says that the score is the mean of one statistic (S = 1): only then is the score of
    a cascade the sum of what its stages' shares contribute. ``needs_rank`` says that the statistics
    are read off the label's rank, not off the prediction.
    """

    @property
    def name(self) -> str:
        """The objective's name in the configuration."""
        ...

    @property
    def additive(self) -> bool:
        """Whether the score is the mean over examples of a single statistic."""
        ...

    @property
    def needs_rank(self) -> bool:
        """Whether the statistics depend on the label's rank rather than on the prediction."""
        ...

    def statistics(
        self, prediction: Ints, label_rank: Ints | None, labels: Ints, classes: int
    ) -> Ints:
        """What each example adds, int64 [N, S].

        Args:
            prediction: int64 [N], the classes answered; one outside 0..classes-1 is simply wrong.
            label_rank: int64 [N], how many classes are ranked before the label; None where only
                the answer is known.
            labels: int64 [N] in 0..classes-1.
            classes: number of classes K.
        """
        ...

    def score(self, totals: Ints, size: int) -> Floats:
        """The score float64 [...] of summed statistics int64 [..., S] over ``size`` examples."""
        ...


OBJECTIVES: dict[str, Callable[..., Objective]] = {}

Class = TypeVar("Class", bound=type[Objective])


def objective(declared: Class) -> Class:
    """Declare the decorated class an objective of its own ``name``.

    >>> OBJECTIVES["accuracy"] is Accuracy
    True
    """
    OBJECTIVES[str(declared.name)] = declared
    return declared


@objective
@dataclass(frozen=True)
class Accuracy:
    """Share of examples answered with their label, Σ [prediction = label] / N; 0 of no examples.

    >>> right = Accuracy().statistics(np.array([2, 0]), None, np.array([2, 1]), classes=3)
    >>> right.tolist(), float(Accuracy().score(right.sum(axis=0), size=2))
    ([[1], [0]], 0.5)
    """

    name: ClassVar[str] = "accuracy"
    additive: ClassVar[bool] = True
    needs_rank: ClassVar[bool] = False

    def statistics(
        self, prediction: Ints, label_rank: Ints | None, labels: Ints, classes: int
    ) -> Ints:
        """1 where the answer is the label, else 0: int64 [N, 1]."""
        return np.equal(prediction, labels)[:, None].astype(np.int64)

    def score(self, totals: Ints, size: int) -> Floats:
        """Right answers ``totals[..., 0]`` over ``size``."""
        return np.asarray(totals[..., 0] / max(size, 1), dtype=np.float64)


@objective
@dataclass(frozen=True)
class TopKAccuracy:
    """Share of examples whose label is among the k classes scored highest, Σ [rank < k] / N.

    0 of no examples.

    >>> top2 = TopKAccuracy(k=2)
    >>> hits = top2.statistics(np.array([2, 0]), np.array([1, 2]), np.array([1, 1]), classes=3)
    >>> float(top2.score(hits.sum(axis=0), size=2))
    0.5
    """

    k: int
    name: ClassVar[str] = "topk_accuracy"
    additive: ClassVar[bool] = True
    needs_rank: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise CascadeError(f"objective.k={self.k}: expected at least 1")

    def statistics(
        self, prediction: Ints, label_rank: Ints | None, labels: Ints, classes: int
    ) -> Ints:
        """1 where fewer than k classes are ranked before the label, else 0: int64 [N, 1].

        Raises:
            CascadeError: without ``label_rank``, which recorded answers do not have.
        """
        if label_rank is None:
            raise CascadeError(
                "objective=topk_accuracy needs logits: recorded answers name one class only"
            )
        return (label_rank < self.k).astype(np.int64)[:, None]

    def score(self, totals: Ints, size: int) -> Floats:
        """Hits ``totals[..., 0]`` over ``size``."""
        return np.asarray(totals[..., 0] / max(size, 1), dtype=np.float64)


@objective
@dataclass(frozen=True)
class F1:
    """F1 = 2 TP / (2 TP + FP + FN), and 0 where all three are 0.

    ``binary``: of class 1 (two classes). ``macro``: the mean over the classes that occur among
    labels or answers, as scikit-learn and torchmetrics take it; statistics take 24 K bytes an
    example.

    >>> counts = F1().statistics(np.array([1, 1, 0]), None, np.array([1, 0, 0]), classes=2)
    >>> counts.sum(axis=0).tolist(), round(float(F1().score(counts.sum(axis=0), size=3)), 4)
    ([1, 1, 0], 0.6667)
    """

    average: Average = "binary"
    name: ClassVar[str] = "f1"
    additive: ClassVar[bool] = False
    needs_rank: ClassVar[bool] = False

    def __post_init__(self) -> None:
        choice(self.average, get_args(Average), "objective.average")

    def statistics(
        self, prediction: Ints, label_rank: Ints | None, labels: Ints, classes: int
    ) -> Ints:
        """TP, FP, FN of class 1, int64 [N, 3]; under ``macro`` of every class, int64 [N, 3 K].

        Raises:
            CascadeError: for ``binary`` with more than two classes.
        """
        if self.average == "binary" and classes > 2:
            raise CascadeError(
                f"objective.average=binary: expected 2 classes, found {classes}; "
                "objective.average=macro takes any number"
            )
        counted = np.array([1]) if self.average == "binary" else np.arange(classes)
        answered = prediction[:, None] == counted
        meant = labels[:, None] == counted
        counts = np.stack([answered & meant, answered & ~meant, ~answered & meant], axis=2)
        return counts.reshape(len(labels), 3 * len(counted)).astype(np.int64)

    def score(self, totals: Ints, size: int) -> Floats:
        """F1 of the summed counts."""
        counts = totals.reshape(*totals.shape[:-1], totals.shape[-1] // 3, 3)
        twice_right = 2 * counts[..., 0]
        whole = twice_right + counts[..., 1] + counts[..., 2]
        per_class = twice_right / np.maximum(whole, 1)
        occurring = np.count_nonzero(whole, axis=-1)
        return np.asarray(per_class.sum(axis=-1) / np.maximum(occurring, 1), dtype=np.float64)


def make_objective(name: str, **settings: object) -> Objective:
    """The objective called ``name`` in the configuration, with its settings.

    ``topk_accuracy`` takes ``k``, ``f1`` takes ``average`` (``binary`` or ``macro``).

    >>> make_objective("f1", average="macro")
    F1(average='macro')

    Raises:
        CascadeError: for an unknown name, a setting it does not have, or one that is missing.
    """
    build = OBJECTIVES[choice(name, OBJECTIVES, "objective")]
    check_settings("objective", name, inspect.signature(build).parameters.values(), settings)
    return build(**settings)
