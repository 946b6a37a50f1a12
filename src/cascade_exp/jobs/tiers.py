"""``cascade=tiers``: stages are tiers of several recorded models (Kolawole et al. 2024, CoE).

Single models, baseline and references stay the recorded models. What a tier answers is
``cascade.tiers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from cascade_exp.cascade.costs import Parallel
from cascade_exp.cascade.ensembling import RECORDED
from cascade_exp.cascade.pool import LogitsPool
from cascade_exp.cascade.stages import Compare, StagePool
from cascade_exp.cascade.tiers import VOTE, TierPool, check_tiers, vote_threshold
from cascade_exp.errors import CascadeError, choice
from cascade_exp.jobs.kinds import Candidates, RecordedModels, check_model
from cascade_exp.recordings.folder import RecordedAnswers, Split
from cascade_exp.recordings.names import models_of
from cascade_exp.schema.evaluating import Method, TiersCascade


@dataclass(frozen=True)
class Tiers(RecordedModels):
    """The tiers of ``cascade.tiers``, run in the order written."""

    @property
    def cascade(self) -> TiersCascade:
        """The settings of this kind."""
        cascade = self.settings.cascade
        assert isinstance(cascade, TiersCascade)
        return cascade

    @property
    def written(self) -> dict[str, list[str]]:
        """``cascade.tiers``: models by tier; of text as in results, ``a+b+c>d``, tiers 1 and 2.

        Raises:
            CascadeError: if it is no such mapping, a tier is empty, or a model is named twice.
        """
        tiers = self.cascade.tiers
        if isinstance(tiers, str):
            tiers = {i: models_of(stage) for i, stage in enumerate(tiers.split(">"), start=1)}
        if not isinstance(tiers, dict) or not tiers:
            raise CascadeError(
                f"cascade.tiers={tiers}: expected models by tier, as "
                "'cascade.tiers={edge:[a,b,c],cloud:[d]}'"
            )
        written: dict[str, list[str]] = {}
        seen: dict[str, str] = {}
        for tier, models in tiers.items():
            names = [models] if isinstance(models, str) else models
            if not isinstance(names, list) or not names:
                raise CascadeError(f"cascade.tiers.{tier}={models}: expected one or more models")
            written[str(tier)] = [str(name) for name in names]
            for name in written[str(tier)]:
                if name in seen:
                    raise CascadeError(
                        f"cascade.tiers.{tier}: model '{name}' is in tier '{seen[name]}' already"
                    )
                seen[name] = str(tier)
        return written

    def check(self, method: Method) -> None:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`."""
        choice(self.settings.cost.parallel, ("sum", "max"), "cost.parallel")
        check_tiers(method.metric, self.cascade.combine, method.ensemble)
        if method.metric == VOTE and self.settings.objective.name == "topk_accuracy":
            raise CascadeError(
                "objective=topk_accuracy with metric=vote: a vote ranks no classes, expected "
                "objective=accuracy or f1"
            )
        written = list(self.written.items())
        for tier, names in written[:-1]:
            if method.metric == VOTE and len(names) == 1:
                raise CascadeError(
                    f"cascade.tiers.{tier}: {names[0]} alone always agrees with itself; with "
                    "metric=vote only the last tier may be one model"
                )

    def scoring(self, split: Split) -> tuple[str, str]:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`.

        Of voters, the probability of the class they name, or a black box's own confidence.
        """
        if self.cascade.combine != VOTE:
            return self.settings.metric.name, "none"
        black_boxes = any(isinstance(out, RecordedAnswers) for out in split.outputs.values())
        return RECORDED if black_boxes else "max_softmax", "none"

    def stages(self, models: LogitsPool) -> StagePool:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`."""
        for tier, names in self.written.items():
            for name in names:
                check_model(name, models.names, f"cascade.tiers.{tier}")
        return TierPool.build(
            models,
            (tuple(models.names.index(name) for name in names) for names in self.written.values()),
            metric=self.settings.metric.name,
            combine=self.cascade.combine,
            ensemble=self.settings.ensemble.name,
            parallel=cast(Parallel, self.settings.cost.parallel),
        )

    def candidates(self, stages: StagePool) -> Candidates:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`."""
        return Candidates([tuple(range(len(stages.names)))])

    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`; votes are snapped to k / n."""
        if self.cascade.combine != VOTE:
            return super().thresholds(stages, members, given)
        assert isinstance(stages, TierPool)
        sizes = [len(stages.tiers[tier]) for tier in members[:-1]]
        if len(given) != len(sizes):
            raise CascadeError(
                f"threshold.fixed={list(given)}: {len(given)} thresholds for {len(members)} tiers, "
                f"expected {len(sizes)}"
            )
        compare = cast(Compare, self.settings.threshold.compare)
        return [vote_threshold(str(t), n, compare) for t, n in zip(given, sizes, strict=True)]

    def told(self) -> Mapping[str, object]:
        """See :class:`~cascade_exp.jobs.kinds.CascadeKind`."""
        return {
            "name": self.cascade.name,
            "combine": self.cascade.combine,
            "parallel": self.settings.cost.parallel,
            "tiers": self.written,
        }
