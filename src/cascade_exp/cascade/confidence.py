"""Confidence metrics, and scoring rows of logits with them in one pass.

A metric is one function of a :class:`~cascade_exp.cascade.row_block.RowBlock`, declared by
:func:`metric` with what must be known about it; nothing else has to change. Combining several
models' answers lives in ``ensembling``, fitting calibrators in ``calibration``.

Notation: p are the probabilities softmax(y) over K classes of logits y (after calibration), p(j)
and y(j) the j-th largest. A higher confidence means a more confident answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.row_block import LogitBlock, RowBlock
from cascade_exp.cascade.row_scan import scan_rows
from cascade_exp.cascade.rows import Logits, check_logits, float_rows, over_rows
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.softmax import NO_LABELS, blocks, sum_of_largest
from cascade_exp.errors import CascadeError, check_settings, choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RowFunction = Callable[[RowBlock], Floats]
"""A number float64 [n] for each row of a block: a metric, or anything else that a scan returns."""


def unbounded(classes: int) -> float:
    """The lowest value of a metric that has none.

    >>> unbounded(10)
    -inf
    """
    return -np.inf


@dataclass(frozen=True)
class Confidence:
    """What must be known about a confidence, whatever computes it.

    Attributes:
        name: its name in the configuration. label: its name for people, as on an axis.
        lowest: the least value that it can take with K classes, as a function of K.
        highest: the least upper bound over all K; figures spread out what crowds below it.

    >>> known = Confidence("share", "share of votes", lambda classes: 1 / classes, 1.0)
    >>> known.label, known.lowest(4), known.highest
    ('share of votes', 0.25, 1.0)
    """

    name: str
    label: str
    lowest: Callable[[int], float] = unbounded
    highest: float = np.inf


@dataclass(frozen=True)
class Metric(Confidence):
    """A confidence that is a function of one answer's probabilities or logits.

    Attributes:
        function: the confidence float64 [n] of a block of rows, given ``settings``.
        settings: values of the function's other parameters.
        needs_logits: whether it reads logits, which a mean of probabilities does not have.
        by_class: whether it treats classes differently; of all others the checks of
            ``tests/cascade/test_confidence.py`` demand that renaming classes changes nothing.

    >>> METRICS["energy"].label, METRICS["energy"].needs_logits
    ('energy', True)
    """

    function: Callable[..., Floats] = field(kw_only=True)
    settings: Mapping[str, object] = field(default_factory=dict)
    needs_logits: bool = False
    by_class: bool = False

    def __call__(self, rows: RowBlock) -> Floats:
        """The confidence float64 [n] of each row."""
        return self.function(rows, **self.settings)


METRICS: dict[str, Metric] = {}


def metric(
    label: str,
    *,
    lowest: Callable[[int], float] = unbounded,
    highest: float = np.inf,
    needs_logits: bool = False,
    by_class: bool = False,
) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Declare the decorated function a metric of its own name; see :class:`Metric`.

    >>> METRICS["entropy"].function is entropy, METRICS["entropy"].lowest(2).round(4).tolist()
    (True, -0.6931)
    """

    def declare(function: Callable[..., Floats]) -> Callable[..., Floats]:
        name = function.__name__
        METRICS[name] = Metric(
            name,
            label,
            lowest,
            highest,
            function=function,
            needs_logits=needs_logits,
            by_class=by_class,
        )
        return function

    return declare


@metric("max softmax", lowest=lambda classes: 1 / classes, highest=1.0)
def max_softmax(rows: RowBlock) -> Floats:
    """p(1), the largest probability (Lebovitz et al. 2023, Eq. 1).

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "max_softmax").round(4).tolist()
    [0.6652, 0.3333]
    """
    return rows.first


@metric("−entropy", lowest=lambda classes: -np.log(classes), highest=0.0)
def entropy(rows: RowBlock) -> Floats:
    """-H(p) = Σ p log p in nats, negated so that higher is more confident (ibid., Eq. 2).

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "entropy").round(4).tolist()
    [-0.8324, -1.0986]
    """
    return rows.plogp


@metric("softmax margin", lowest=lambda classes: 0.0, highest=1.0)
def softmax_margin(rows: RowBlock) -> Floats:
    """p(1) - p(2), largest minus second-largest probability (ibid., §3); 1 with one class.

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "softmax_margin").round(4).tolist()
    [0.4205, 0.0]
    """
    return rows.first - rows.second


@metric("logits margin", lowest=lambda classes: 0.0, needs_logits=True)
def logits_margin(rows: RowBlock) -> Floats:
    """y(1) - y(2), largest minus second-largest logit (ibid., §3); see ``RowBlock.gap``.

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "logits_margin").tolist()
    [1.0, 0.0]
    """
    return rows.gap


@metric("top-k probability", lowest=lambda classes: 1 / classes, highest=1.0)
def topk_sum(rows: RowBlock, k: int) -> Floats:
    """p(1) + ... + p(k), the confidence for top-k accuracy; 1 when k >= K.

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "topk_sum", k=2).round(4).tolist()
    [0.91, 0.6667]

    Raises:
        CascadeError: for k below 1.
    """
    if k < 1:
        raise CascadeError(f"metric.k={k}: expected at least 1")
    if k == 1:
        return rows.first
    return np.ones(len(rows)) if k >= rows.p.shape[1] else sum_of_largest(rows.p, k)


@metric("energy", needs_logits=True)
def energy(rows: RowBlock) -> Floats:
    """log Σ exp y, the negated free energy (Liu et al. 2020, Eq. 4).

    >>> scores_of([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "energy").round(4).tolist()
    [2.4076, 1.0986]
    """
    return rows.log_sum


OTHERS = {
    "recorded": Confidence("recorded", "recorded confidence"),
    "vote": Confidence("vote", "share of votes", lambda classes: 0.0, 1.0),
    "patience": Confidence("patience", "agreeing exits in a row", lambda classes: 1.0),
    "learned": Confidence("learned", "learned log-odds of a right answer"),
}
"""Confidences that are no function of one answer's scores; pools that have them compute them."""


def make_metric(name: str, **settings: object) -> Confidence:
    """The confidence called ``name`` in the configuration, with its settings bound.

    >>> make_metric("topk_sum", k=5).label
    'top-k probability'

    Raises:
        CascadeError: for an unknown name, a setting it does not have, one that is missing, or a
            value that it refuses.
    """
    choice(name, [*METRICS, *OTHERS], "metric")
    if name in OTHERS:
        check_settings("metric", name, [], settings)
        return OTHERS[name]
    parameters = list(inspect.signature(METRICS[name].function).parameters.values())[1:]
    check_settings("metric", name, parameters, settings)
    bound = replace(METRICS[name], settings=settings)
    none = LogitBlock(np.empty((0, 2)), np.empty(0, np.int64), np.empty(0))
    bound(none)  # refuses here what it would refuse while scoring
    return bound


def known_confidence(name: str) -> Confidence | None:
    """What is declared about the confidence called ``name``; None where nothing is.

    >>> known_confidence("vote").label, known_confidence("no such")
    ('share of votes', None)
    """
    return METRICS.get(name) or OTHERS.get(name)


@dataclass(frozen=True)
class ScoredRows:
    """What a scan has read off N answers over K classes.

    Attributes:
        prediction: int64 [N], the class with the highest recorded logit, the lower index where two
            are equal.
        label_rank: int64 [N], how many classes score higher than the label, or equal with a lower
            index; the answer is right iff it is 0, and among the k best iff below k. None without
            labels.
        columns: float64 [C, N], one row for each function asked for.

    >>> scored = score_rows(np.array([[2.0, 0.0, 1.0]]), [max_softmax], np.array([2]))
    >>> scored.prediction.tolist(), scored.label_rank.tolist(), scored.columns.round(4).tolist()
    ([0], [1], [[0.6652]])
    """

    prediction: Ints
    label_rank: Ints | None
    columns: Floats


def check_labels(labels: Ints, size: int, classes: int, where: str) -> None:
    """Raise :class:`CascadeError` unless ``labels`` is int [size] with values in 0..classes - 1.

    >>> check_labels(np.array([0, 2]), size=2, classes=3, where="labels.npy")
    >>> check_labels(np.array([0, 3]), size=2, classes=3, where="labels.npy")
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: labels.npy: label 3 of row 1, expected 0..2
    """
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
    """The error for a row ``logits`` [K] that holds NaN or an infinity.

    >>> not_finite(np.array([0.0, np.nan]), row=7, where="a.npy")
    CascadeError('a.npy: row 7, class 1: logit nan, expected finite logits')
    """
    column = int(np.flatnonzero(~np.isfinite(logits))[0])
    return CascadeError(
        f"{where}: row {row}, class {column}: logit {logits[column]}, expected finite logits"
    )


def score_rows(
    logits: Logits,
    functions: Sequence[RowFunction] = (),
    labels: Ints | None = None,
    *,
    temperature: float = 1.0,
    where: str = "logits",
    progress: Progress | None = None,
) -> ScoredRows:
    """Apply ``functions`` to every row of ``logits`` in one pass, over all cores and in chunks.

    All computing is in float64 from the recorded logits, the same bits whatever the chunking.

    Args:
        logits: float16, float32 or float64 [N, K], in memory or memory-mapped.
        functions: metrics, or other functions of a block.
        labels: int64 [N] in 0..K-1, for ``label_rank``.
        temperature: divides the logits; positive.
        where: what the logits are called in an error, e.g. their file.
        progress: called with (rows done, N) as chunks finish.

    Raises:
        CascadeError: naming the row, for NaN or infinite logits or a label outside 0..K-1; for a
            shape or dtype that cannot be logits.

    >>> scored = score_rows(
    ...     np.array([[2.0, 0.0], [0.0, 1.0]]), [logits_margin], temperature=2.0
    ... )
    >>> scored.prediction.tolist(), scored.columns.tolist()
    ([0, 1], [[1.0, 0.5]])
    """
    check_logits(logits, where)
    size, classes = logits.shape
    if labels is not None:
        check_labels(labels, size, classes, where)
    ints, seconds = np.zeros((2, size), np.int64), np.empty(size)
    columns = np.zeros((len(functions), size))

    def work(start: int, stop: int) -> None:
        rows = float_rows(logits, slice(start, stop))
        of_rows = NO_LABELS if labels is None else labels[start:stop].astype(np.int64)
        bad = scan_rows(rows, of_rows, start, ints, seconds)
        if bad >= 0:
            raise not_finite(rows[bad], start + bad, where)
        for part in blocks(len(rows), classes):
            at = slice(start + part.start, start + part.stop)
            block = LogitBlock(rows[part], ints[0, at], seconds[at], temperature)
            for column, function in zip(columns, functions, strict=True):
                column[at] = function(block)

    over_rows(size, classes * logits.dtype.itemsize, work, progress)
    return ScoredRows(ints[0], None if labels is None else ints[1], columns)


def scores_of(logits: Sequence[Sequence[float]] | Logits, name: str, **settings: object) -> Floats:
    """The confidence float64 [N] of logits [N, K] by the metric called ``name``.

    >>> scores_of([[3.0, 1.0], [0.5, 0.5]], "logits_margin").tolist()
    [2.0, 0.0]

    Raises:
        CascadeError: as :func:`make_metric` and :func:`score_rows`; for a confidence that is no
            function of logits.
    """
    found = make_metric(name, **settings)
    if not isinstance(found, Metric):
        raise CascadeError(f"metric={name}: no function of logits, expected {', '.join(METRICS)}")
    return np.asarray(score_rows(np.asarray(logits, dtype=np.float64), [found]).columns[0])
