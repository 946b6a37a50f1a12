"""From logits to what a confidence metric needs, in one pass per row; and the metrics themselves.

A new metric is one function of a :class:`RowSummary` entered in :data:`METRICS`. Combining several
models' answers lives in ``ensembling``, fitting temperatures in ``calibration``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.scores import summarise_rows
from cascade_exp.cascade.rows import Logits, check_logits, float_rows, over_rows
from cascade_exp.cascade.search_threads import Progress
from cascade_exp.errors import CascadeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_LABELS: Ints = np.empty(0, np.int64)


@dataclass(frozen=True)
class RowSummary:
    """What the metrics need to know of each of N answers over K classes; all float64/int64 [N].

    With y the logits after division by the temperature, sorted y(1) >= y(2) >= ..., and probability
    p = softmax(y), so that p(j) / p(1) = exp(y(j) - y(1)):

    Attributes:
        prediction: the class with the highest recorded logit, the lower index where two are equal.
        top: y(1).
        gap: y(1) - y(2); with one class, and where it would overflow, the largest float64.
        tail: sum over j >= 2 of p(j) / p(1); hence p(1) = 1 / (1 + tail), exact in the last place
            even where p(1) rounds to 1.
        weighted: sum over j of (y(j) - y(1)) p(j) / p(1), at most 0.
        head, beyond: sum of p(j) / p(1) over the k largest, and over all others.
        label_rank: how many classes score higher than the label, or equal with a lower index; the
            answer is right iff it is 0, and among the k best iff below k. None without labels.
    """

    prediction: Ints
    top: Floats
    gap: Floats
    tail: Floats
    weighted: Floats
    head: Floats
    beyond: Floats
    label_rank: Ints | None = None


SUMS = ("top", "gap", "tail", "weighted", "head", "beyond")  # in the order of the row pass

MetricFunction = Callable[[RowSummary], Floats]


def max_softmax(answers: RowSummary) -> Floats:
    """Largest probability p(1) (Lebovitz et al. 2023, Eq. 1)."""
    return 1.0 / (1.0 + answers.tail)


def entropy(answers: RowSummary) -> Floats:
    """Negated Shannon entropy in nats, Σ p log p, so that higher is surer (ibid., Eq. 2)."""
    return answers.weighted / (1.0 + answers.tail) - np.log1p(answers.tail)


def softmax_margin(answers: RowSummary) -> Floats:
    """Largest minus second-largest probability (ibid., §3); 1 with one class."""
    return -np.expm1(-answers.gap) / (1.0 + answers.tail)


def logits_margin(answers: RowSummary) -> Floats:
    """Largest minus second-largest logit (ibid., §3); the largest float64 with one class.

    Not +inf, which as a threshold means "never here": every confidence stays finite.
    """
    return answers.gap


def topk_sum(answers: RowSummary) -> Floats:
    """Sum of the k largest probabilities, k as given to :func:`summarise`; 1 when k >= K."""
    return answers.head / (answers.head + answers.beyond)


def energy(answers: RowSummary) -> Floats:
    """Log of the sum of exponentiated logits, the negated free energy of Liu et al. 2020."""
    return answers.top + np.log1p(answers.tail)


LOGIT_METRICS = frozenset({"logits_margin", "energy"})  # not functions of the probabilities alone

METRICS: dict[str, MetricFunction] = {
    "max_softmax": max_softmax,
    "entropy": entropy,
    "softmax_margin": softmax_margin,
    "logits_margin": logits_margin,
    "topk_sum": topk_sum,
    "energy": energy,
}


def check_labels(labels: Ints, size: int, classes: int, where: str) -> None:
    """Raise :class:`CascadeError` unless ``labels`` is int [size] with values in 0..classes - 1."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != size:
        raise CascadeError(
            f"{where}: {size} examples, but labels are {labels.dtype} of shape {labels.shape}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise CascadeError(
            f"{where}: label {labels[wrong[0]]} of row {wrong[0]}, expected 0..{classes - 1}"
        )


def not_finite(logits: Logits, row: int, where: str) -> CascadeError:
    """The error for a row ``logits`` [K] that holds NaN or an infinity."""
    column = int(np.flatnonzero(~np.isfinite(logits))[0])
    return CascadeError(
        f"{where}: row {row}, class {column}: logit {logits[column]}, expected finite logits"
    )


def summarise(
    logits: Logits,
    labels: Ints | None = None,
    *,
    temperature: float = 1.0,
    k: int = 1,
    where: str = "logits",
    progress: Progress | None = None,
) -> RowSummary:
    """Summarise every row of ``logits`` in one pass, over all cores and in chunks of rows.

    All sums are float64 of the recorded logits, the same bits whatever the chunking.

    Args:
        logits: float16, float32 or float64 [N, K], in memory or memory-mapped.
        labels: int64 [N] in 0..K-1, for ``label_rank``.
        temperature: divides the logits; positive.
        k: how many of the largest probabilities ``topk_sum`` adds up.
        where: what the logits are called in an error, e.g. their file.
        progress: called with (rows done, N) as chunks finish.

    Raises:
        CascadeError: naming the row, for NaN or infinite logits or a label outside 0..K-1; for a
            shape or dtype that cannot be logits.
    """
    check_logits(logits, where)
    size, classes = logits.shape
    if labels is not None:
        check_labels(labels, size, classes, where)
    ints = np.zeros((2, size), np.int64)
    floats = np.zeros((6, size))

    def work(start: int, stop: int) -> None:
        rows = float_rows(logits, slice(start, stop))
        of_rows = NO_LABELS if labels is None else labels[start:stop].astype(np.int64)
        bad = summarise_rows(rows, float(temperature), False, of_rows, k, start, ints, floats)
        if bad >= 0:
            raise not_finite(rows[bad], start + bad, where)

    over_rows(size, classes * logits.dtype.itemsize, work, progress)
    return RowSummary(
        prediction=ints[0],
        label_rank=None if labels is None else ints[1],
        **dict(zip(SUMS, floats, strict=True)),
    )
