"""The stages of a chosen cascade, loaded from where its models were saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel, load_model
from cascade_exp.runtime.chosen import ChosenCascade
from cascade_exp.runtime.readers import Readers
from cascade_exp.runtime.stages.base import RunningStage
from cascade_exp.runtime.stages.model import ModelStage


def load_stages(
    chosen: ChosenCascade,
    device: str | torch.device | None,
    given: Mapping[str, RunningStage | Callable[..., Any]],
) -> list[RunningStage]:
    """One running stage for each of ``chosen.stages``.

    Raises:
        CascadeError: if a model is neither given nor saved where the job says, or is damaged.
    """
    place = device_of(device)
    readers = Readers()

    def loaded(name: str) -> RunningStage:
        model = _model(chosen, name)
        return ModelStage(model, readers.of(name, model.input), place)

    return [loaded(name) for name in chosen.stages]


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


def _model(chosen: ChosenCascade, name: str) -> CompleteModel:
    if name not in chosen.weights:
        raise CascadeError(
            f"{chosen.place}: the weights of {name} are not known; expected a model that train.py "
            f"has trained, or what runs in its place: Cascade.load(…, stages={{'{name}': …}})"
        )
    return load_model(chosen.weights[name])
