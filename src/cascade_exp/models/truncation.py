"""The first k layers of a given encoder under a new head: BERT-kL, and the cascade's cheap stages.

CascadeBERT (Li et al. 2021, §2) on BERT-kL: "A classifier is added directly after the first k
layers. The parameters of the first k layers and the classifier are fine-tuned". What comes out is
an ordinary transformers classifier with k layers, so this family only builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.heads import head_of
from cascade_exp.models.members import TruncatedMember, read_member
from cascade_exp.models.transformers_loading import (
    check_vocabulary,
    label_fields,
    load_config,
    load_encoder,
    load_tokenizer,
    quiet,
)
from cascade_exp.models.transformers_models import finish, head_keys, log


def build(name: str, member: Mapping[str, Any], classes: tuple[str, ...]) -> CompleteModel:
    """Build a float32 classifier of the encoder's embeddings, first k layers and pooler; head new.

    Raises:
        CascadeError: if the encoder cannot be loaded, has no single list of layers to cut, or fewer
            layers than are asked for.
    """
    wanted = read_member(name, member, TruncatedMember)
    where = f"models.members.{name}"
    head = head_of(where, wanted.head)
    tokenizer = load_tokenizer(where, wanted, wanted.encoder)
    config = load_config(where, wanted.encoder, wanted.trust_remote_code)
    encoder = load_encoder(where, wanted.encoder, wanted.trust_remote_code)
    layers = layer_list(f"{where}.encoder={wanted.encoder}", encoder)
    full = int(encoder.config.num_hidden_layers)
    if not 1 <= wanted.layers <= full:
        raise CascadeError(
            f"{where}.layers={wanted.layers}: {wanted.encoder} has {full} layers, "
            f"expected 1..{full}"
        )
    check_vocabulary(where, tokenizer, config)
    with quiet():
        transformer = head.auto.from_config(
            _cut(config, wanted.layers, classes),
            dtype=torch.float32,
            trust_remote_code=wanted.trust_remote_code,
        )
    _copy(where, encoder, transformer, f"{layers}.", wanted.layers)
    log.info("%s: first %d of %d layers; new head", name, wanted.layers, full)
    return finish(name, transformer, classes, wanted)


def layer_list(where: str, encoder: Any) -> str:
    """The name of the encoder's outermost list of layers.

    Raises:
        CascadeError: if there is none, as where layers share their weights (ALBERT), or several, as
            in an encoder with a decoder (BART).
    """
    count = getattr(encoder.config, "num_hidden_layers", None)
    lists = [key for key, module in encoder.named_modules() if isinstance(module, nn.ModuleList)]
    outer = [key for key in lists if not any(key.startswith(other + ".") for other in lists)]
    layers = [key for key in outer if len(encoder.get_submodule(key)) == count]
    if len(layers) == 1 and not encoder.config.is_encoder_decoder:
        return str(layers[0])
    raise CascadeError(
        f"{where}: a {encoder.config.model_type} cannot be cut; expected one list of its {count} "
        f"layers, found {', '.join(layers) or 'none'}"
    )


def _cut(config: Any, layers: int, classes: tuple[str, ...]) -> Any:
    """The encoder's configuration with ``layers`` layers; lists with an entry per layer are cut."""
    full = config.num_hidden_layers
    values = config.to_dict()
    for key, value in values.items():
        per_layer = "layer" in key or key == "attention_window"
        if per_layer and isinstance(value, list) and len(value) == full:
            values[key] = value[:layers]
    values[config.attribute_map.get("num_hidden_layers", "num_hidden_layers")] = layers
    return type(config).from_dict({**values, **label_fields(classes)})


def _copy(where: str, encoder: Any, transformer: Any, layers: str, count: int) -> None:
    """Copy the encoder into ``transformer``, apart from its layers from ``count`` on.

    Its pooler too, where the classifier has one (in RoBERTa's it is a part of the head), as
    transformers does when it loads an encoder with ``num_hidden_layers=count``.
    """
    pooled = getattr(transformer.base_model, "pooler", None) is not None
    kept = {
        key: tensor
        for key, tensor in encoder.state_dict().items()
        if (pooled or not key.startswith("pooler."))
        and not (key.startswith(layers) and int(key[len(layers) :].split(".")[0]) >= count)
    }
    result = transformer.base_model.load_state_dict(kept, strict=False)
    prefix = transformer.base_model_prefix + "."
    lost = {prefix + key for key in result.missing_keys} - set(head_keys(transformer))
    if lost or result.unexpected_keys:
        raise CascadeError(
            f"{where}.encoder: its {encoder.config.model_type} does not fit its own classifier "
            f"(first of them: {[*sorted(lost), *result.unexpected_keys][0]})"
        )
