"""``cascade=exits``: the kind of cascade whose stages are the exits of one recorded network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from cascade_exp.cascade.ensembling import check_combination
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.exits import PATIENCE, ExitPool
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.kinds.base import Candidates, RecordedModels
from cascade_exp.evaluation.kinds.registry import kind
from cascade_exp.recordings.exits import exit_name
from cascade_exp.recordings.folder import Recordings, Split, exits_of
from cascade_exp.schema.evaluating import (
    DollarsCost,
    EdgeCloudCost,
    ExitsCascade,
    Method,
)


@kind("exits", metrics={PATIENCE: "it counts the exits of one network that agree"})
class ExitsOfOne(RecordedModels):
    """``cascade=exits``: the exits of ``cascade.network``, in order, and each of them alone.

    The single models are the static networks that end at an exit, at all that they cost.
    """

    @override
    def check(self, method: Method) -> None:
        if self.settings.cost.accounting != "cumulative":
            raise CascadeError(
                f"cost.accounting={self.settings.cost.accounting} with cascade=exits: an exit runs "
                "on the layers of those before it, expected cost.accounting=cumulative"
            )
        if isinstance(self.settings.cost, DollarsCost | EdgeCloudCost):
            raise CascadeError(
                f"cost={self.settings.cost.name} with cascade=exits: all exits run on one machine; "
                "expected a column of exits.csv, cost=table, layers or seconds"
            )
        if method.metric != PATIENCE:
            check_combination(method.metric, method.ensemble)
        elif method.ensemble != "none":
            raise CascadeError(
                f"metric={PATIENCE} with ensemble={method.ensemble}: it compares what each exit "
                "answers by itself, expected ensemble=none"
            )

    @override
    def read(self, recordings: Recordings, split: str) -> Split:
        return exits_of(recordings.network(self._network), split)

    @override
    def costs(self, recordings: Recordings) -> dict[str, float]:
        network = self._network
        costs = recordings.network(network).exit_costs(network, self.settings.cost.column)
        exits = recordings.exits[network]
        names = [exit_name(network, row.exit) for row in exits]
        return dict(zip(names, costs.tolist(), strict=True))

    @override
    def scoring(self, split: Split) -> tuple[str, str]:
        """An exit alone has no patience, and is scored by max softmax."""
        metric, ensemble = super().scoring(split)
        return ("max_softmax", ensemble) if metric == PATIENCE else (metric, ensemble)

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        return ExitPool(models, patient=self.settings.metric.name == PATIENCE)

    @override
    def candidates(self, stages: StagePool) -> Candidates:
        assert isinstance(stages, ExitPool)
        cascade = stages.cascade
        return Candidates([cascade, *((m,) for m in stages.static)], named=cascade)

    @override
    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        """Of one name the static network that ends there, of several the network's own cascade."""
        assert isinstance(stages, ExitPool)
        exits = stages.static if len(names) == 1 else stages.cascade
        return tuple(exits[stages.exits.names.index(name)] for name in names)

    @override
    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        """One number is for all exits."""
        shared = self.shared() and len(given) == 1
        return super().thresholds(stages, members, [*given] * (len(members) - 1 if shared else 1))

    @override
    def shared(self) -> bool:
        """One threshold for all exits unless the user says otherwise."""
        return self.settings.threshold.shared is not False

    @override
    def summary(self) -> Mapping[str, object]:
        return {**super().summary(), "network": self._network}

    @property
    def _network(self) -> str:
        cascade = self.settings.cascade
        assert isinstance(cascade, ExitsCascade)
        return cascade.network
