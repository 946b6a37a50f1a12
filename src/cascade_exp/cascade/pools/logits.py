"""A pool of recorded models on one split, seen as stages: the adapter from outputs to the engine.

Scores of one answer live in ``confidence``, combining answers in ``ensembling``; reading files and
checking a recordings folder live outside of ``cascade``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import (
    METRICS,
    Confidence,
    Metric,
    RowFunction,
    ScoredRows,
    check_labels,
    max_softmax,
    score_rows,
)
from cascade_exp.cascade.ensembling import (
    MEANS,
    RECORDED,
    Member,
    answer_means,
    check_combination,
    comparison,
    score_means,
)
from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.pools.base import conditions
from cascade_exp.cascade.rows import Logits, check_logits
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare, Stage
from cascade_exp.cascade.tuples import Pair, ScoredTuples, score_tuples
from cascade_exp.errors import CascadeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


KEPT_BYTES = 1 << 28  # of stages that combine models; those of one model always stay
TOGETHER_BYTES = 1 << 30
"""Of answers and confidences of pairs and triples that are computed together."""


@dataclass(frozen=True)
class Answers:
    """What a black box recorded instead of logits.

    Attributes:
        prediction: int64 [N], the classes answered, >= 0.
        confidence: float64 [N], finite, higher = more confident.
        scored: whether the model gave these confidences; else they are constant and say nothing.

    >>> from cascade_exp.cascade.confidence import make_metric
    >>> from cascade_exp.cascade.objective import make_objective
    >>> answers = Answers(np.array([1, 0]), np.array([0.9, 0.4]))
    >>> pool = LogitsPool.build(
    ...     {"api": answers},
    ...     {"api": 0.01},
    ...     np.array([1, 1]),
    ...     metric=make_metric("recorded"),
    ...     objective=make_objective("accuracy"),
    ... )
    >>> pool.stage((0,)).confidence.tolist(), pool.stage((0,)).statistics.tolist()
    ([0.9, 0.4], [[1], [0]])
    """

    prediction: Ints
    confidence: Floats
    scored: bool = True


@dataclass
class LogitsPool:
    """Models on one split as a :class:`~cascade_exp.cascade.pools.base.StagePool`.

    Make one with :meth:`build`. Stages are computed when first asked for and kept.

    Attributes:
        names: the models, in order of growing cost, then name.
        cost: float64 [models], cost of running each.
        prefix_free: whether a stage depends on its own model only (no ensembling).
        classes: number of classes K; for recorded answers, of classes that occur as labels.

    >>> from cascade_exp.cascade.examples import three_models
    >>> pool = three_models(ensemble="mean_logits")
    >>> pool.stage((0,)).confidence.tolist(), pool.stage((0, 2)).confidence.tolist()
    ([3.0, 0.5, 3.0, 1.0], [3.5, 1.25, 3.5, 1.0])
    """

    names: tuple[str, ...]
    cost: Floats
    outputs: tuple[Logits | Answers, ...]
    labels: Ints
    classes: int
    metric: Confidence
    ensemble: str
    objective: Objective
    temperatures: Floats
    sources: tuple[str, ...]
    _alone: dict[int, Stage] = field(default_factory=dict, init=False, repr=False)
    _probability: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)
    _clear: dict[int, Ints] = field(default_factory=dict, init=False, repr=False)
    _together: ScoredTuples | None = field(default=None, init=False, repr=False)
    _combined: OrderedDict[tuple[int, ...], Stage] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    @classmethod
    def build(
        cls,
        outputs: Mapping[str, Logits | Answers],
        costs: Mapping[str, float],
        labels: Ints,
        *,
        metric: Confidence,
        objective: Objective,
        ensemble: str = "none",
        temperatures: Mapping[str, float] | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> LogitsPool:
        """Check that the models fit together, and put them in order of growing cost, then name.

        Args:
            outputs: by model name, logits [N, K] (memory-mapped or not) or :class:`Answers`.
            costs: by model name, the cost of running it on one example.
            labels: int64 [N]; with logits in 0..K-1.
            metric: of logits a ``confidence.Metric``, of answers ``recorded`` (``make_metric``).
            objective: what stages' statistics are for.
            ensemble: one of ``ensembling.ENSEMBLES``.
            temperatures: by model name, what divides its logits; 1 where absent.
            sources: by model name, what its output is called in errors (a file); default the name.

        Raises:
            CascadeError: naming the model that does not fit: other N or K than the rest, logits
                where the metric is ``recorded`` or answers where it is not; or both keys where
                metric and ensemble do not go together.
        """
        check_combination(metric.name, ensemble)
        names = sorted(outputs, key=lambda name: (costs[name], name))
        if not names:
            raise CascadeError("the pool holds no model")
        called = {name: (sources or {}).get(name, name) for name in names}
        for name in names:
            _check_output(outputs[name], metric.name, len(labels), called[name])
        classes = _common_classes([outputs[name] for name in names], [called[n] for n in names])
        if classes is None:
            classes = int(labels.max(initial=0)) + 1
        check_labels(labels, len(labels), classes, "labels")
        return cls(
            names=tuple(names),
            cost=np.array([costs[name] for name in names], dtype=np.float64),
            outputs=tuple(outputs[name] for name in names),
            labels=labels.astype(np.int64),
            classes=classes,
            metric=metric,
            ensemble=ensemble,
            objective=objective,
            temperatures=np.array([(temperatures or {}).get(name, 1.0) for name in names]),
            sources=tuple(called[name] for name in names),
        )

    @property
    def size(self) -> int:
        """Number of examples N."""
        return len(self.labels)

    @property
    def prefix_free(self) -> bool:
        """Whether a stage depends on its own model only: so without ensembling."""
        return self.ensemble == "none"

    @property
    def confidence(self) -> Confidence:
        """The metric."""
        return self.metric

    def describe(
        self, members: Sequence[int], thresholds: Sequence[float], compare: Compare
    ) -> list[str]:
        """When an example leaves each stage but the last: ``max softmax ≥ 0.9812``."""
        return conditions(self.confidence, thresholds, compare)

    def prepare(self, progress: Progress | None = None) -> None:
        """Read every model's output now; ``progress(rows done, rows of all models)`` on the way."""
        total = self.size * len(self.names)

        def onwards(before: int) -> Progress:
            return lambda done, _: progress(before + done, total) if progress else None

        for m in range(len(self.names)):
            self._model(m, onwards(m * self.size))

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once ``members`` (indices of models, in running order) have run.

        Raises:
            CascadeError: for logits that are not finite, naming source and row.
        """
        if self.prefix_free or len(members) == 1:
            return self._model(members[-1])
        fetched = self._fetched(members)
        if fetched is not None:
            return fetched
        if members in self._combined:
            self._combined.move_to_end(members)
            return self._combined[members]
        if self.ensemble in MEANS:
            assert isinstance(self.metric, Metric)  # recorded answers go with ensemble=none only
            combined = score_means(
                self.ensemble, [self._member(m) for m in members], [self.metric], self.labels
            )
            stage = self._stage_of_rows(combined)
        else:
            stage = comparison(self.stage(members[:-1]), self._model(members[-1]))
        self._combined[members] = stage
        while sum(map(_nbytes, self._combined.values())) > KEPT_BYTES and len(self._combined) > 1:
            self._combined.popitem(last=False)
        return stage

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` [N, S] alone, and faster: what is needed of a last stage.

        Under a mean ensemble only examples on which the members do not all clearly name the same
        class are added up, without exponentials of the mean. Nothing is kept.
        """
        if self.ensemble not in MEANS or len(members) == 1 or members in self._combined:
            return self.stage(members).statistics
        if self._together is not None and self._together.right_of(members) is not None:
            return np.asarray(self._together.right_of(members), dtype=np.int64)[:, None]
        for m in members:
            self._model(m)
        answers = np.stack([self._clear[m] for m in members])
        settled = (answers == answers[0]).all(axis=0) & (answers[0] >= 0)
        if self.objective.needs_rank:
            settled &= answers[0] == self.labels
        prediction, rank = answers[0], np.zeros(self.size, np.int64)
        examples = np.flatnonzero(~settled)
        prediction[examples], rank[examples] = answer_means(
            self.ensemble, [self._member(m) for m in members], self.labels, examples
        )
        return self.objective.statistics(prediction, rank, self.labels, self.classes)

    def prefetch(
        self,
        inner: Collection[tuple[int, ...]],
        last: Collection[tuple[int, ...]],
        progress: Progress | None = None,
    ) -> None:
        """Compute the mean stages of pairs, and the answers of triples, in one pass over all rows.

        Only for accuracy, and as many pairs as ``TOGETHER_BYTES`` hold; all others are computed
        when they are asked for.
        """
        if self.ensemble not in MEANS or self.objective.name != "accuracy":
            return
        assert isinstance(self.metric, Metric)
        thirds: dict[Pair, list[int]] = {}
        for members in sorted({*inner, *last}):
            if len(members) == 2:
                thirds.setdefault((members[0], members[1]), [])
            elif len(members) == 3 and members in last:
                thirds.setdefault((members[0], members[1]), []).append(members[2])
        kept, held = {}, 0
        for pair, models in thirds.items():
            held += self.size * (13 + len(models))
            if held <= TOGETHER_BYTES:
                kept[pair] = models
        if kept:
            everything = [self._member(m) for m in range(len(self.names))]
            scored = [pair for pair in kept if pair in inner]
            self._together = score_tuples(
                self.ensemble, everything, kept, scored, self.metric, self.labels, progress
            )

    def _fetched(self, members: tuple[int, ...]) -> Stage | None:
        """The stage after a pair out of :meth:`prefetch`."""
        found = self._together
        if found is None or members not in found.pairs:
            return None
        p = found.pairs[(members[0], members[1])]
        if (members[0], members[1]) not in found.scored:
            return None
        return self._stage_of(found.prediction[p].astype(np.int64), None, found.confidence[p])

    def probability(self, m: int) -> Floats:
        """Model ``m``'s max softmax, or a black box's own confidence: float64 [N].

        It comes out of the scan that computes the model's stage (for calibration errors, which are
        of probabilities whatever the metric).
        """
        stage = self._model(m)
        return self._probability.get(m, stage.confidence)

    def _member(self, m: int) -> Member:
        logits = self.outputs[m]
        assert not isinstance(logits, Answers)  # refused by check_combination
        return Member(logits, float(self.temperatures[m]), self.sources[m])

    def _model(self, m: int, progress: Progress | None = None) -> Stage:
        """Model ``m``'s own stage."""
        if m not in self._alone:
            output = self.outputs[m]
            if isinstance(output, Answers):
                self._alone[m] = self._stage_of(output.prediction, None, output.confidence)
            else:
                self._score(m, output, progress)
        return self._alone[m]

    def _score(self, m: int, logits: Logits, progress: Progress | None) -> None:
        """Model ``m``'s own stage, max softmax and, for means, clear predictions, in one scan."""
        assert isinstance(self.metric, Metric)  # recorded answers have no logits
        functions: list[RowFunction] = [self.metric, max_softmax]
        if self.ensemble in MEANS:
            functions.append(MEANS[self.ensemble].clear_lead)
        scored = score_rows(
            logits,
            functions,
            self.labels,
            temperature=float(self.temperatures[m]),
            where=self.sources[m],
            progress=progress,
        )
        self._alone[m], self._probability[m] = self._stage_of_rows(scored), scored.columns[1]
        if self.ensemble in MEANS:
            self._clear[m] = np.where(scored.columns[2] > 0, scored.prediction, -1)

    def _stage_of_rows(self, scored: ScoredRows) -> Stage:
        return self._stage_of(scored.prediction, scored.label_rank, scored.columns[0])

    def _stage_of(self, prediction: Ints, label_rank: Ints | None, confidence: Floats) -> Stage:
        return Stage(
            confidence=confidence.astype(np.float64) + 0.0,  # -0.0 becomes 0.0
            prediction=prediction.astype(np.int64),
            statistics=self.objective.statistics(prediction, label_rank, self.labels, self.classes),
        )


def _nbytes(stage: Stage) -> int:
    return stage.confidence.nbytes + stage.prediction.nbytes + stage.statistics.nbytes


def _check_output(output: Logits | Answers, metric: str, size: int, source: str) -> None:
    """Raise :class:`CascadeError` unless ``output`` suits the metric and has ``size`` examples."""
    if isinstance(output, Answers):
        if metric != RECORDED:
            raise CascadeError(
                f"metric={metric}: {source} holds recorded answers, not logits; "
                f"expected metric={RECORDED}"
            )
        found = len(output.prediction)
        _check_answers(output, source)
    else:
        if metric == RECORDED:
            raise CascadeError(
                f"metric={RECORDED}: {source} holds logits, expected recorded answers "
                f"(for logits choose one of {', '.join(METRICS)})"
            )
        check_logits(output, source)
        found = len(output)
    if found != size:
        raise CascadeError(f"{source}: {found} examples, expected {size} as there are labels")


def _check_answers(answers: Answers, source: str) -> None:
    """Raise :class:`CascadeError` for a negative prediction or a confidence that is not finite."""
    if len(answers.confidence) != len(answers.prediction):
        raise CascadeError(
            f"{source}: {len(answers.confidence)} confidences "
            f"for {len(answers.prediction)} predictions"
        )
    wrong = np.flatnonzero((answers.prediction < 0) | ~np.isfinite(answers.confidence))
    if wrong.size:
        row = int(wrong[0])
        raise CascadeError(
            f"{source}: row {row}: prediction {answers.prediction[row]} with confidence "
            f"{answers.confidence[row]}, expected a class >= 0 and a finite confidence"
        )


def _common_classes(outputs: Sequence[Logits | Answers], sources: Sequence[str]) -> int | None:
    """The number of classes K that all logits agree on, None without logits; else raise."""
    with_logits = [
        (output.shape[1], source)
        for output, source in zip(outputs, sources, strict=True)
        if not isinstance(output, Answers)
    ]
    for found, source in with_logits[1:]:
        expected, first = with_logits[0]
        if found != expected:
            raise CascadeError(f"{source}: {found} classes, expected {expected} as in {first}")
    return with_logits[0][0] if with_logits else None
