"""The stages of a chosen cascade, loaded from where its models were saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from cascade_exp.cascade.pools.tiers import VOTE
from cascade_exp.errors import CascadeError, choice
from cascade_exp.models.complete import CompleteModel, load_model
from cascade_exp.recordings.exits import exit_of, network_of
from cascade_exp.runtime.chosen import ChosenCascade
from cascade_exp.runtime.readers import Readers
from cascade_exp.runtime.stages.base import RunningStage
from cascade_exp.runtime.stages.exits import ExitStage
from cascade_exp.runtime.stages.function import FunctionStage
from cascade_exp.runtime.stages.model import ModelStage
from cascade_exp.runtime.stages.service import Service, ServiceStage
from cascade_exp.runtime.stages.tier import TierStage

Given = Mapping[str, RunningStage | Service | Callable[..., Any]]
"""By model, what runs in its place."""


def load_stages(
    chosen: ChosenCascade,
    device: str | torch.device | None,
    given: Given,
) -> list[RunningStage]:
    """One running stage for each of ``chosen.stages``.

    Raises:
        CascadeError: if a model is neither given nor saved where the job says, or is damaged.
    """
    for name in given:
        choice(name, chosen.order, "stages")
    return _Loader(chosen, device_of(device), given).stages()


class _Loader:
    """Loads each model once, however many stages it is part of."""

    def __init__(
        self,
        chosen: ChosenCascade,
        device: torch.device,
        given: Given,
    ) -> None:
        self.chosen = chosen
        self.device = device
        self.given = given
        self.readers = Readers()
        self._loaded: dict[str, CompleteModel] = {}

    def stages(self) -> list[RunningStage]:
        """One for each stage of the cascade."""
        chosen, made = self.chosen, list[RunningStage]()
        for number, name in enumerate(chosen.stages):
            members = sorted(chosen.models_of(number), key=chosen.order.index)
            if chosen.combine is None:
                made.append(self._single(number, name))
            else:
                tier = [self._single(number, member) for member in members]
                made.append(TierStage(chosen, number, tier))
        return made

    def _single(self, number: int, name: str) -> RunningStage:
        if name in self.given:
            return self._given(number, name, self.given[name])
        network = network_of(name)
        model = self._model(network)
        reader = self.readers.of(network, model.input)
        if not exit_of(name):
            return ModelStage(name, model, reader, self.device)
        after = exit_of(self.chosen.stages[number - 1]) if number else 0
        return ExitStage(name, model, reader, self.device, after)

    def _given(
        self, number: int, name: str, given: RunningStage | Service | Callable[..., Any]
    ) -> RunningStage:
        if isinstance(given, Service):
            last = number == len(self.chosen.stages) - 1
            if given.confidence == "none" and not last and self.chosen.combine != VOTE:
                raise CascadeError(
                    f"{name}: confidence=none, but it is not the last stage; a threshold is "
                    "compared with its confidence"
                )
            return ServiceStage(name, given)
        if not isinstance(given, RunningStage):
            return FunctionStage(name, given)
        if given.name != name:
            raise CascadeError(f"stages: {name} is given a stage that is called {given.name}")
        return given

    def _model(self, name: str) -> CompleteModel:
        if name not in self._loaded:
            if name not in self.chosen.weights:
                raise CascadeError(
                    f"{self.chosen.place}: the weights of {name} are not known; expected a model "
                    "that train.py has trained, or what runs in its place: "
                    f"Cascade.load(…, stages={{'{name}': …}})"
                )
            self._loaded[name] = load_model(self.chosen.weights[name])
        return self._loaded[name]


def device_of(device: str | torch.device | None) -> torch.device:
    """``device``, or where None a GPU if there is one, else the CPU.

    Raises:
        CascadeError: if torch knows no such device, or has none here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise CascadeError(
            f"device={device}: {str(error).splitlines()[0]}; expected cpu, or cuda where there is "
            "a GPU"
        ) from None
    return found
