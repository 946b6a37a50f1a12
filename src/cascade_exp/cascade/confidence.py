"""From logits to what a confidence metric needs, in one pass per row; and the metrics themselves.

A new metric is one function of a :class:`RowSummary` entered in :data:`METRICS`. Combining several
models' answers lives in ``ensembling``, fitting temperatures in ``calibration``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.row_scan import scan_rows
from cascade_exp.cascade.rows import Logits, check_logits, float_rows, over_rows
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.softmax import NO_LABELS, Rows, blocks, shifted_logits, sum_of_largest
from cascade_exp.errors import CascadeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class RowSummary:
    """What the metrics need to know of each of N answers over K classes; all float64/int64 [N].

    With y the logits after division by the temperature, sorted y(1) >= y(2) >= ..., and
    p = softmax(y) sorted likewise:

    Attributes:
        prediction: the class with the highest recorded logit, the lower index where two are equal.
        first, second: p(1) and p(2); p(2) = 0 with one class.
        plogp: sum of p log p, at most 0.
        head: sum of the k largest p.
        top: y(1).
        gap: y(1) - y(2); with one class, and where it would overflow, the largest float64.
        log_sum: log of the sum of exp y.
        label_rank: how many classes score higher than the label, or equal with a lower index; the
            answer is right iff it is 0, and among the k best iff below k. None without labels.
    """

    prediction: Ints
    first: Floats
    second: Floats
    plogp: Floats
    head: Floats
    top: Floats
    gap: Floats
    log_sum: Floats
    label_rank: Ints | None = None


SUMS = ("first", "second", "plogp", "head", "top", "gap", "log_sum")

MetricFunction = Callable[[RowSummary], Floats]


def max_softmax(answers: RowSummary) -> Floats:
    """Largest probability p(1) (Lebovitz et al. 2023, Eq. 1)."""
    return answers.first


def entropy(answers: RowSummary) -> Floats:
    """Negated Shannon entropy in nats, Σ p log p, so that higher is surer (ibid., Eq. 2)."""
    return answers.plogp


def softmax_margin(answers: RowSummary) -> Floats:
    """Largest minus second-largest probability (ibid., §3); 1 with one class."""
    return answers.first - answers.second


def logits_margin(answers: RowSummary) -> Floats:
    """Largest minus second-largest logit (ibid., §3); the largest float64 with one class.

    Not +inf, which as a threshold means "never here": every confidence stays finite.
    """
    return answers.gap


def topk_sum(answers: RowSummary) -> Floats:
    """Sum of the k largest probabilities, k as given to :func:`summarise`; 1 when k >= K."""
    return answers.head


def energy(answers: RowSummary) -> Floats:
    """Log of the sum of exponentiated logits, the negated free energy of Liu et al. 2020."""
    return answers.log_sum


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
    ints, seconds = np.zeros((2, size), np.int64), np.empty(size)
    floats = np.zeros((len(SUMS), size))

    def work(start: int, stop: int) -> None:
        rows = float_rows(logits, slice(start, stop))
        of_rows = NO_LABELS if labels is None else labels[start:stop].astype(np.int64)
        bad = scan_rows(rows, of_rows, start, ints, seconds)
        if bad >= 0:
            raise not_finite(rows[bad], start + bad, where)
        for part in blocks(len(rows), classes):
            at = slice(start + part.start, start + part.stop)
            floats[:, at] = of_logits(rows[part], ints[0, at], seconds[at], temperature, k)

    over_rows(size, classes * logits.dtype.itemsize, work, progress)
    return RowSummary(
        prediction=ints[0],
        label_rank=None if labels is None else ints[1],
        **dict(zip(SUMS, floats, strict=True)),
    )


def of_logits(rows: Rows, best: Ints, second: Floats, temperature: float, k: int) -> Floats:
    """The :data:`SUMS` float64 [7, n] of rows of logits [n, K].

    Args:
        best: the highest class of each row. second: the second-highest logit, -inf with one class.
    """
    x = shifted_logits(rows, best, temperature)
    p = np.exp(x)
    total = p.sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        largest = rows[np.arange(len(rows)), best].astype(np.float64)
        top = largest / temperature
        gap = top - second / temperature
        # halves where the quotients overflow
        gap = np.where(np.isfinite(gap), gap, (largest / 2 - second / 2) / temperature * 2)
    gap, top = np.clip(gap, 0.0, LARGEST), np.clip(top, -LARGEST, LARGEST)
    classes = rows.shape[1]
    if k == 1 or k >= classes:
        head = 1.0 / total if k == 1 and classes > 1 else np.ones(len(rows))
    else:
        head = sum_of_largest(p / total[:, None], k)
    x *= p
    log_total = np.log(total)
    return np.stack(
        [
            1.0 / total,
            np.exp(-gap) / total,
            x.sum(axis=1) / total - log_total,
            head,
            top,
            gap,
            np.minimum(top + log_total, LARGEST),
        ]
    )
