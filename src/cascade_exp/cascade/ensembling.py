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
    softmax_margin,
)
from cascade_exp.cascade.kernels import means, scores
from cascade_exp.cascade.rows import Logits, float_rows, over_rows
from cascade_exp.cascade.search_threads import Progress
from cascade_exp.cascade.stages import Stage
from cascade_exp.errors import CascadeError, choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECORDED = "recorded"
CLEAR_LEAD = 1e-12  # relative; far above the rounding of sums, far below any lead of interest


@dataclass(frozen=True)
class Member:
    """A model in a mean: its logits [N, K], what divides them, what errors call them."""

    logits: Logits
    temperature: float
    source: str


@dataclass(frozen=True)
class Mean:
    """A mean over models, of what ``add`` takes from each; whether that is probabilities."""

    add: Callable[[Logits, float, Floats], int]
    probabilities: bool


MEANS = {
    "mean_logits": Mean(means.add_logits, probabilities=False),
    "mean_softmax": Mean(means.add_softmax, probabilities=True),
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
    members: Sequence[Member],
    labels: Ints,
    *,
    k: int = 1,
    progress: Progress | None = None,
) -> RowSummary:
    """What the metrics need of the mean over ``members``.

    Sums are float64, chunk by chunk, in the members' order. A mean of logits is the sum at a
    temperature of the number of members; a mean of softmaxes q is summarised as the logits log q,
    whose softmax it is (Lebovitz et al. 2023, §3).

    Args:
        ensemble: a key of :data:`MEANS`.
        members: models, all with the same [N, K].
        labels: int64 [N] in 0..K-1.
        k: how many of the largest probabilities ``topk_sum`` adds up.
        progress: called with (rows done, N) as chunks finish.

    Raises:
        CascadeError: naming source and row, for logits that are not finite or whose sum overflows.
    """
    ints, floats = np.zeros((2, len(labels)), np.int64), np.zeros((6, len(labels)))
    temperature, probabilities = float(len(members)), MEANS[ensemble].probabilities

    def summarise(sums: Floats, start: int) -> int:
        of_rows = labels[start : start + len(sums)]
        return scores.summarise_rows(
            sums, temperature, probabilities, of_rows, k, start, ints, floats
        )

    _over_sums(ensemble, members, None, summarise, progress)
    sums = dict(zip(SUMS, floats, strict=True))
    return RowSummary(prediction=ints[0], label_rank=ints[1], **sums)


def answer_means(
    ensemble: str, members: Sequence[Member], labels: Ints, examples: Ints
) -> tuple[Ints, Ints]:
    """Prediction and label rank, as of :func:`summarise_means`, of some examples: two int64 [n].

    For last stages, whose confidence nothing reads: no exponential of the mean, and of the members'
    rows only ``examples`` (int64 [n], rows of the logits and of ``labels``) are read.
    """
    ints, of_examples = np.zeros((2, len(examples)), np.int64), labels[examples]

    def answer(sums: Floats, start: int) -> int:
        return scores.answer_rows(sums, of_examples[start : start + len(sums)], start, ints)

    _over_sums(ensemble, members, examples, answer, None)
    return ints[0], ints[1]


def clear_predictions(ensemble: str, answers: RowSummary) -> Ints:
    """A member's prediction int64 [N], or -1 where rounding in a sum could overturn its lead.

    Where the members all clearly name one class, their mean does: each of them puts it above every
    other class by more than sums of a few hundred members can lose to rounding.
    """
    if MEANS[ensemble].probabilities:
        lead, scale = softmax_margin(answers), np.ones(len(answers.top))
    else:
        lead, scale = answers.gap, np.abs(answers.top)
    return np.where(lead > CLEAR_LEAD * scale, answers.prediction, -1)


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
