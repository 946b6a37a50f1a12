"""How the answers of the models that have run become one answer; which metric goes with which way.

Metrics of a combined answer are those of ``confidence``; caching the stages lives in
``pools.logits``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import METRICS, RowFunction, ScoredRows, not_finite
from cascade_exp.cascade.row_block import LogitBlock, ProbabilityBlock, RowBlock
from cascade_exp.cascade.row_scan import scan_rows
from cascade_exp.cascade.rows import Logits, float_rows, over_rows
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.softmax import Rows, best_classes, blocks, softmax
from cascade_exp.cascade.stages import Stage
from cascade_exp.errors import CascadeError, choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECORDED = "recorded"
CLEAR_LEAD = 1e-12  # relative; far above the rounding of sums, far below any lead of interest


@dataclass(frozen=True)
class Member:
    """A model in a mean: its logits [N, K], what divides them, what errors call them.

    >>> pair = [Member(np.array([z]), 2.0, "model") for z in ([4.0, 0.0], [0.0, 2.0])]
    >>> score_means(
    ...     "mean_logits", pair, [METRICS["logits_margin"]], np.array([0])
    ... ).columns.tolist()
    [[0.5]]
    """

    logits: Logits
    temperature: float
    source: str


@dataclass(frozen=True)
class Mean:
    """A mean over models.

    Attributes:
        add: ``add(logits, temperature, sums)`` adds one model's scores to ``sums`` [n, K]; returns
            the first row that is not finite, or -1.
        block: ``block(sums, members, best, runner_up)`` is the mean as a block of rows.
        clear_lead: positive where a model puts its class above every other one by more than sums
            of a few hundred members can lose to rounding.
        probabilities: whether probabilities are averaged, so that the mean has no logits.

    >>> {name: mean.probabilities for name, mean in MEANS.items()}
    {'mean_logits': False, 'mean_softmax': True}
    """

    add: Callable[[Rows, float, Floats], int]
    block: Callable[[Floats, int, Ints, Floats], RowBlock]
    clear_lead: RowFunction
    probabilities: bool


def add_logits(logits: Rows, temperature: float, sums: Floats) -> int:
    """Add logits / temperature [rows, K] to ``sums``; returns -1, as overflow shows in the sum.

    >>> sums = np.array([[1.0, 0.0]])
    >>> add_logits(np.array([[3.0, 1.0]]), 2.0, sums), sums.tolist()
    (-1, [[2.5, 0.5]])
    """
    with np.errstate(over="ignore"):
        sums += logits / np.float64(temperature)
    return -1


def add_softmax(logits: Rows, temperature: float, sums: Floats) -> int:
    """Add softmax(logits / temperature); returns the first row that is not finite, or -1.

    >>> sums = np.zeros((1, 2))
    >>> add_softmax(np.array([[2.0, 0.0]]), 2.0, sums), sums.round(4).tolist()
    (-1, [[0.7311, 0.2689]])
    >>> add_softmax(np.array([[np.nan, 0.0]]), 1.0, sums)
    0
    """
    best, bad = best_classes(logits)
    if bad < 0:
        for part in blocks(*logits.shape):
            sums[part] += softmax(logits[part], best[part], temperature)
    return bad


def mean_of_logits(sums: Floats, members: int, best: Ints, runner_up: Floats) -> RowBlock:
    """The block of the mean of ``members`` models' logits, given their sum [n, K].

    >>> block = mean_of_logits(np.array([[4.0, 2.0]]), 2, np.array([0]), np.array([2.0]))
    >>> block.gap.tolist()
    [1.0]
    """
    return LogitBlock(sums, best, runner_up, float(members))


def clear_logit_lead(rows: RowBlock) -> Floats:
    """How far y(1) - y(2) lies above what rounding in a sum could overturn: float64 [n].

    >>> block = LogitBlock(
    ...     np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([0, 0]), np.array([1.0, 0.0])
    ... )
    >>> (clear_logit_lead(block) > 0).tolist()
    [False, True]
    """
    return rows.gap - CLEAR_LEAD * np.abs(rows.top)


def clear_softmax_lead(rows: RowBlock) -> Floats:
    """How far p(1) - p(2) lies above what rounding in a sum could overturn: float64 [n].

    >>> block = LogitBlock(
    ...     np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([0, 0]), np.array([1.0, 0.0])
    ... )
    >>> (clear_softmax_lead(block) > 0).tolist()
    [False, True]
    """
    return rows.first - rows.second - CLEAR_LEAD


MEANS = {
    "mean_logits": Mean(add_logits, mean_of_logits, clear_logit_lead, probabilities=False),
    "mean_softmax": Mean(add_softmax, ProbabilityBlock, clear_softmax_lead, probabilities=True),
}
ENSEMBLES = ("none", "comparison", *MEANS)


def check_combination(metric: str, ensemble: str) -> None:
    """Raise :class:`CascadeError` unless ``metric`` and ``ensemble`` are known and go together.

    >>> check_combination("energy", "mean_logits")
    >>> check_combination("energy", "mean_softmax")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: metric=energy with ensemble=mean_softmax: a mean of ...
    """
    choice(metric, [*METRICS, RECORDED], "metric")
    choice(ensemble, ENSEMBLES, "ensemble")
    both = f"metric={metric} with ensemble={ensemble}"
    if metric == RECORDED and ensemble != "none":
        raise CascadeError(f"{both}: recorded answers cannot be combined, expected ensemble=none")
    check_mean(metric, ensemble, "ensemble")


def check_mean(metric: str, mean: str, key: str) -> None:
    """Raise :class:`CascadeError` if ``metric`` needs logits and ``mean`` (of ``key``) has none.

    >>> check_mean("energy", "mean_logits", "ensemble")
    >>> check_mean("energy", "mean_softmax", "cascade.combine")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: metric=energy with ...
    """
    needs_logits = metric in METRICS and METRICS[metric].needs_logits
    if needs_logits and mean in MEANS and MEANS[mean].probabilities:
        raise CascadeError(
            f"metric={metric} with {key}={mean}: a mean of probabilities has no logits, "
            "expected mean_logits"
        )


def comparison(earlier: Stage, later: Stage) -> Stage:
    """The answer and confidence of the more confident stage, ``later`` where the two are equal.

    Folded over models 1..i it is the comparison ensemble of Lebovitz et al. 2023, §3.

    >>> right = np.array([[1]])
    >>> earlier = Stage(np.array([0.8]), np.array([2]), right)
    >>> comparison(earlier, Stage(np.array([0.8]), np.array([1]), right)).prediction.tolist()
    [1]
    """
    wins = later.confidence >= earlier.confidence
    return Stage(
        confidence=np.where(wins, later.confidence, earlier.confidence),
        prediction=np.where(wins, later.prediction, earlier.prediction),
        statistics=np.where(wins[:, None], later.statistics, earlier.statistics),
    )


def score_means(
    ensemble: str,
    members: Sequence[Member],
    functions: Sequence[RowFunction],
    labels: Ints,
    progress: Progress | None = None,
) -> ScoredRows:
    """Apply ``functions`` to the mean over ``members``, with its prediction and label rank.

    Sums are float64, chunk by chunk, in the members' order (Lebovitz et al. 2023, §3).

    >>> pair = [Member(np.array([z]), 1.0, "model") for z in ([2.0, 0.0], [0.0, 1.0])]
    >>> found = score_means("mean_logits", pair, [METRICS["logits_margin"]], np.array([0]))
    >>> found.prediction.tolist(), found.columns.tolist()
    ([0], [[0.5]])

    Args:
        ensemble: a key of :data:`MEANS`.
        members: models, all with the same [N, K].
        functions: metrics, or other functions of a block.
        labels: int64 [N] in 0..K-1.
        progress: called with (rows done, N) as chunks finish.

    Raises:
        CascadeError: naming source and row, for logits that are not finite or whose sum overflows.
    """
    ints, seconds = np.zeros((2, len(labels)), np.int64), np.empty(len(labels))
    columns = np.zeros((len(functions), len(labels)))

    def score(sums: Floats, start: int) -> int:
        rows = slice(start, start + len(sums))
        bad = scan_rows(sums, labels[rows], start, ints, seconds)
        if bad < 0:
            for part in blocks(*sums.shape):
                at = slice(start + part.start, start + part.stop)
                block = MEANS[ensemble].block(sums[part], len(members), ints[0, at], seconds[at])
                for column, function in zip(columns, functions, strict=True):
                    column[at] = function(block)
        return bad

    _over_sums(ensemble, members, None, score, progress)
    return ScoredRows(ints[0], ints[1], columns)


def answer_means(
    ensemble: str, members: Sequence[Member], labels: Ints, examples: Ints
) -> tuple[Ints, Ints]:
    """Prediction and label rank, as of :func:`score_means`, of some examples: two int64 [n].

    For last stages, whose confidence nothing reads: no exponential of the mean, and of the members'
    rows only ``examples`` (int64 [n], rows of the logits and of ``labels``) are read.

    >>> pair = [Member(np.array([z, z]), 1.0, "model") for z in ([2.0, 0.0], [0.0, 1.0])]
    >>> prediction, rank = answer_means("mean_logits", pair, np.array([0, 1]), np.array([1]))
    >>> prediction.tolist(), rank.tolist()
    ([0], [1])
    """
    ints, of_examples = np.zeros((2, len(examples)), np.int64), labels[examples]
    seconds = np.empty(len(examples))

    def answer(sums: Floats, start: int) -> int:
        return scan_rows(sums, of_examples[start : start + len(sums)], start, ints, seconds)

    _over_sums(ensemble, members, examples, answer, None)
    return ints[0], ints[1]


def _over_sums(
    ensemble: str,
    members: Sequence[Member],
    examples: Ints | None,
    use: Callable[[Floats, int], int],
    progress: Progress | None,
) -> None:
    """Call ``use(summed rows, first of them)`` for every chunk of ``examples``, or of all rows.

    It and ``Mean.add`` return the first row of the chunk that is not finite, or -1.
    """
    add = MEANS[ensemble].add
    size, classes = members[0].logits.shape

    def work(start: int, stop: int) -> None:
        chosen = slice(start, stop) if examples is None else examples[start:stop]
        sums = np.zeros((stop - start, classes))
        for member in members:
            rows = float_rows(member.logits, chosen)
            bad = add(rows, member.temperature, sums)
            if bad >= 0:
                raise not_finite(rows[bad], _example(examples, start + bad), member.source)
        sums.flags.writeable = False  # one compiled kernel for these and for recorded float64
        bad = use(sums, start)
        if bad >= 0:
            example = _example(examples, start + bad)
            for member in members:
                row = member.logits[example]
                if not np.isfinite(row).all():
                    raise not_finite(row, example, member.source)
            names = ", ".join(member.source for member in members)
            raise not_finite(sums[bad], example, f"ensemble={ensemble} of {names}")

    held = classes * (8 + sum(member.logits.dtype.itemsize for member in members))
    over_rows(size if examples is None else len(examples), held, work, progress)


def _example(examples: Ints | None, position: int) -> int:
    return position if examples is None else int(examples[position])
