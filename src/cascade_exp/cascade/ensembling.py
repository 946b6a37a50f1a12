"""How the answers of the models that have run become one answer; which metric goes with which way.

Metrics of a combined answer are those of ``confidence``; caching the stages lives in ``pool``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import (
    LOGIT_METRICS,
    METRICS,
    SUMS,
    RowSummary,
    not_finite,
)
from cascade_exp.cascade.kernels import means, scores
from cascade_exp.cascade.rows import Logits, Progress, float_rows, over_rows
from cascade_exp.cascade.stages import Stage
from cascade_exp.errors import CascadeError, choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECORDED = "recorded"


@dataclass(frozen=True)
class Member:
    """A model in a mean: its logits [N, K], what divides them, what errors call them."""

    logits: Logits
    temperature: float
    source: str


@dataclass(frozen=True)
class Mean:
    """A mean over models, of what ``add`` takes from each; whether that is probabilities."""

    add: Callable[[Floats, int, Logits, float, Floats], int]
    probabilities: bool


MEANS = {
    "mean_logits": Mean(means.mean_logits, probabilities=False),
    "mean_softmax": Mean(means.mean_softmax, probabilities=True),
}
ENSEMBLES = ("none", "comparison", *MEANS)


def check_combination(metric: str, ensemble: str) -> None:
    """Raise :class:`CascadeError` unless ``metric`` and ``ensemble`` are known and go together."""
    choice(metric, [*METRICS, RECORDED], "metric")
    choice(ensemble, ENSEMBLES, "ensemble")
    both = f"metric={metric} with ensemble={ensemble}"
    if metric == RECORDED and ensemble != "none":
        raise CascadeError(f"{both}: recorded answers cannot be combined, expected ensemble=none")
    if metric in LOGIT_METRICS and ensemble in MEANS and MEANS[ensemble].probabilities:
        raise CascadeError(f"{both}: a mean of probabilities has no logits, expected mean_logits")


def comparison(earlier: Stage, later: Stage) -> Stage:
    """The answer and confidence of whichever is surer, ``later`` where they are equally sure.

    Folded over models 1..i it is the comparison ensemble of Lebovitz et al. 2023, §3.
    """
    wins = later.confidence >= earlier.confidence
    return Stage(
        confidence=np.where(wins, later.confidence, earlier.confidence),
        prediction=np.where(wins, later.prediction, earlier.prediction),
        statistics=np.where(wins[:, None], later.statistics, earlier.statistics),
    )


def summarise_means(
    ensemble: str,
    earlier: Sequence[Member],
    lasts: Sequence[Member],
    labels: Ints,
    *,
    k: int = 1,
    progress: Progress | None = None,
) -> list[RowSummary]:
    """For each of ``lasts``, what the metrics need of the mean over ``earlier`` and that one.

    The mean is taken in float64, chunk by chunk, in the members' order; the sum over ``earlier`` is
    made once per chunk. A mean of softmaxes q is summarised as the logits log q, whose softmax it
    is (Lebovitz et al. 2023, §3).

    Args:
        ensemble: a key of :data:`MEANS`.
        earlier, lasts: all with the same [N, K].
        labels: int64 [N] in 0..K-1.
        k: how many of the largest probabilities ``topk_sum`` adds up.
        progress: called with (rows done, N) as chunks finish.

    Raises:
        CascadeError: naming source and row, for logits that are not finite or whose sum overflows.
    """
    size = len(labels)
    ints, floats = np.zeros((len(lasts), 2, size), np.int64), np.zeros((len(lasts), 6, size))

    def summarise(last: int, rows: Floats, start: int) -> int:
        return scores.summarise_rows(
            rows,
            1.0,
            MEANS[ensemble].probabilities,
            labels[start : start + len(rows)],
            k,
            start,
            ints[last],
            floats[last],
        )

    _over_means(ensemble, earlier, lasts, summarise, progress)
    return [
        RowSummary(
            prediction=ints[i, 0],
            label_rank=ints[i, 1],
            **dict(zip(SUMS, floats[i], strict=True)),
        )
        for i in range(len(lasts))
    ]


def answer_means(
    ensemble: str, earlier: Sequence[Member], lasts: Sequence[Member], labels: Ints
) -> Ints:
    """Only prediction and label rank of :func:`summarise_means`: int64 [lasts, 2, N].

    For the last stage of a cascade, whose confidence nothing reads: no exponential of the mean.
    """
    ints = np.zeros((len(lasts), 2, len(labels)), np.int64)

    def answer(last: int, rows: Floats, start: int) -> int:
        return scores.answer_rows(rows, labels[start : start + len(rows)], start, ints[last])

    _over_means(ensemble, earlier, lasts, answer, None)
    return ints


def _over_means(
    ensemble: str,
    earlier: Sequence[Member],
    lasts: Sequence[Member],
    use: Callable[[int, Floats, int], int],
    progress: Progress | None,
) -> None:
    """Call ``use(last, mean rows, first row)`` for every chunk of rows and every one of ``lasts``.

    It and ``Mean.add`` return the first row of the chunk that is not finite, or -1.
    """
    add, members = MEANS[ensemble].add, [*earlier, *lasts]
    size, classes = members[0].logits.shape
    together = len(earlier) + 1

    def work(start: int, stop: int) -> None:
        sums, mean = np.zeros((stop - start, classes)), np.empty((stop - start, classes))
        kept = mean.view()
        kept.flags.writeable = False  # one compiled kernel for these and for recorded float64
        for member in earlier:
            _add(member, sums, 1, sums, start)
        for i, last in enumerate(lasts):
            _add(last, sums, together, mean, start)
            bad = use(i, kept, start)
            if bad >= 0:
                for member in (*earlier, last):
                    row = float_rows(member.logits, start + bad, start + bad + 1)
                    if not np.isfinite(row).all():
                        raise not_finite(row, 0, start + bad, member.source)
                names = ", ".join(member.source for member in (*earlier, last))
                raise not_finite(mean, bad, start, f"ensemble={ensemble} of {names}")

    def _add(member: Member, sums: Floats, count: int, out: Floats, start: int) -> None:
        rows = float_rows(member.logits, start, start + len(sums))
        bad = add(sums, count, rows, member.temperature, out)
        if bad >= 0:
            raise not_finite(rows, bad, start, member.source)

    held = classes * (16 + sum(member.logits.dtype.itemsize for member in members))
    over_rows(size, held, work, progress)
