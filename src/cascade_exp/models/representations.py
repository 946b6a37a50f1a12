"""What a text model has made of an example after some of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel


def first_token_states(model: CompleteModel, inputs: Mapping[str, Tensor], layer: int) -> Tensor:
    """The hidden states of the first token ([CLS]) after ``layer`` layers: float [B, H].

    That is what a BERT's classifier reads (CascadeBERT, Li et al. 2021, Fig. 4).

    Args:
        model: a text model, complete or with exits.
        inputs: token tensors int64 [B, T].
        layer: 1..the model's layers.

    Raises:
        CascadeError: if the model has no such layer, or is no text model.
    """
    network: Any = model.network
    if not hasattr(network, "transformer"):
        raise CascadeError(f"{model.name}: no text model; expected one of transformers")
    if not 1 <= layer <= model.layers:
        raise CascadeError(
            f"layer={layer}: {model.name} has {model.layers} layers, expected 1..{model.layers}"
        )
    read = {k: v for k, v in inputs.items() if network.segments or k != "token_type_ids"}
    encoder = network.transformer.base_model
    states: Tensor = encoder(**read, output_hidden_states=True).hidden_states[layer][:, 0]
    return states
