"""Building networks with an exit after every layer out of BERT-like encoders of transformers.

DeeBERT, PABEE and FastBERT differ in their heads (``exit_heads``) and in how they are trained
(``exit_methods``); the network itself is in ``exit_network``. Which keys a member has is said by
``members.ExitsMember``. BERT-kL, a static early exit, is the family ``truncated``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel

from cascade_exp.errors import CascadeError, choice, one_line
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.depth import evaluating
from cascade_exp.models.exit_heads import fresh_weights
from cascade_exp.models.exit_methods import METHODS
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.models.inputs import TextInput
from cascade_exp.models.members import ExitsMember, TransformersMember, read_member
from cascade_exp.models.transformers_loading import (
    check_vocabulary,
    load_encoder,
    load_tokenizer,
    load_written,
    own_memory,
    quiet,
)
from cascade_exp.models.transformers_models import (
    architecture,
    check_one_source,
    example_tokens,
    from_scratch,
    log,
    reads_segments,
    save_tokenizer,
)
from cascade_exp.models.truncation import layer_list

HEADS_FILE = "heads.safetensors"


def build(name: str, member: Mapping[str, Any], classes: tuple[str, ...]) -> CompleteModel:
    """Build a float32 network with as many exits as layers; heads new, poolers the encoder's.

    Raises:
        CascadeError: if the encoder cannot be loaded or is not BERT-like, that is, has no single
            list of layers whose states the next layer reads as they are.
    """
    wanted = read_member(name, member, ExitsMember)
    where = f"models.members.{name}"
    method = choice(wanted.method, METHODS, f"{where}.method")
    check_one_source(where, wanted)
    tokenizer = load_tokenizer(where, wanted, wanted.encoder)
    if wanted.encoder is not None:
        transformer = load_encoder(where, wanted.encoder, wanted.trust_remote_code)
        own_memory(transformer)
        check_vocabulary(where, tokenizer, transformer.config)
    else:
        shape = TransformersMember(config=wanted.config)
        transformer = from_scratch(where, shape, tokenizer, classes).base_model
    pooler = getattr(transformer, "pooler", None)
    network = _with_heads(where, transformer, method, len(classes))
    fresh_weights(network.heads, getattr(transformer.config, "initializer_range", 0.02))
    if pooler is not None:
        network.heads.take_pooler(pooler)
    _try(where, network, wanted.max_length)
    log.info("%s: %s with %d exits; new heads", name, method, network.exits)
    return CompleteModel(
        name=name,
        network=network.train(),
        input=TextInput(wanted.tokenizer or wanted.encoder, wanted.max_length),
        layers=network.exits,
        classes=classes,
        description={
            "family": "exits",
            "method": method,
            "config": architecture(transformer.config),
            "max_length": wanted.max_length,
            "trust_remote_code": wanted.trust_remote_code,
        },
    )


def write(model: CompleteModel, directory: Path) -> None:
    """Write the encoder as transformers does, tokenizer included, and the heads beside it."""
    network: Any = model.network
    with quiet():
        network.transformer.save_pretrained(directory)
    save_tokenizer(model, directory)
    heads = {key: value.contiguous() for key, value in network.heads.state_dict().items()}
    save_file(heads, directory / HEADS_FILE)


def read(description: dict[str, Any], classes: tuple[str, ...], directory: Path) -> nn.Module:
    """Rebuild the network from what ``write`` left."""
    method = choice(description["method"], METHODS, f"{directory}: method")
    try:
        trust = description["trust_remote_code"]
        transformer, info = load_written(AutoModel, directory, trust)
        heads = load_file(directory / HEADS_FILE)
    except (Exception, SafetensorError) as error:  # each library fails in its own way
        raise CascadeError(
            f"{directory}: damaged; the encoder or its heads cannot be loaded ({one_line(error)})"
        ) from error
    lost = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
    unfit = [*lost, *info["unexpected_keys"], *info["mismatched_keys"]]
    own_memory(transformer)
    network = _with_heads(str(directory), transformer, method, len(classes))
    expected = {key: value.shape for key, value in network.heads.state_dict().items()}
    if unfit or {key: value.shape for key, value in heads.items()} != expected:
        raise CascadeError(
            f"{directory}: its weights do not fit its config.json and {HEADS_FILE} with "
            f"{len(classes)} classes"
        )
    network.heads.load_state_dict(heads)
    network.heads.to(transformer.dtype)
    return network


def _with_heads(where: str, transformer: Any, method: str, classes: int) -> ExitNetwork:
    layers = layer_list(where, transformer)
    exits = int(transformer.config.num_hidden_layers)
    transformer.pooler = None  # it reads the last layer only; heads have poolers of their own
    heads = METHODS[method].heads(transformer.config, exits, classes)
    return ExitNetwork(transformer, heads, layers, reads_segments(transformer))


def _try(where: str, network: ExitNetwork, length: int) -> None:
    """Run the longest sequence, and see that ending early changes nothing of what came before."""
    tokens = example_tokens(network.transformer.config, length)
    kind = network.transformer.config.model_type
    try:
        with evaluating(network), torch.no_grad():
            whole = network(tokens)
            with network.first_exits(1):
                first = network(tokens)
    except (IndexError, RuntimeError, ValueError) as error:
        raise CascadeError(
            f"{where}.max_length={length}: {kind} cannot take so many tokens ({one_line(error)})"
        ) from error
    if whole.shape[1] != network.exits or not torch.allclose(first, whole[:, :1], atol=1e-5):
        raise CascadeError(
            f"{where}: a {kind} has no exits, as its last layer's states are changed before a head "
            "reads them; expected a BERT-like encoder (BERT, RoBERTa, ELECTRA, MiniLM)"
        )
