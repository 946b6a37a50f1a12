"""Text classifiers out of transformers: a given encoder or classifier, or one from scratch.

Which keys a member has is said by ``members.TransformersMember``. Cutting an encoder to its first
layers is in ``truncation``, an exit after every layer in ``exits``; what all need is here.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoTokenizer

from cascade_exp.errors import CascadeError, did_you_mean, one_line
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.heads import HEADS, Head, head_of
from cascade_exp.models.inputs import TextInput
from cascade_exp.models.members import (
    ExitsMember,
    TransformersMember,
    TruncatedMember,
    read_member,
)
from cascade_exp.models.transformers_loading import (
    DIRECTORY_FORM,
    check_complete,
    check_vocabulary,
    label_fields,
    load_config,
    load_tokenizer,
    load_written,
    own_memory,
    quiet,
    unusable,
)

log = logging.getLogger(__name__)

# Fields of a configuration that follow from the data's classes or from how models are used here.
_NOT_FIELDS = (
    *("num_labels", "id2label", "label2id", "problem_type", "architectures", "dtype"),
    *("transformers_version", "return_dict", "output_hidden_states", "output_attentions"),
)


class TokenClassifier(nn.Module):
    """An encoder under its head as a function of a dict of token tensors to logits [B, K].

    ``token_type_ids`` are left out for an encoder that knows no segments (DistilBERT, RoBERTa), so
    that one tokenizer can serve several encoders.
    """

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer
        self.segments = reads_segments(transformer)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits float [B, K] for int64 token tensors [B, T], or [B, K, T] of K endings."""
        logits: Tensor = self.transformer(**self._read(inputs)).logits
        return logits

    def with_states(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The logits, and the first token's state after every layer: float [B, L, H]."""
        said = self.transformer(**self._read(inputs), output_hidden_states=True)
        states = [state[:, 0] for state in said.hidden_states[1:]]
        return said.logits, torch.stack(states, dim=1)

    def _read(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {k: v for k, v in inputs.items() if self.segments or k != "token_type_ids"}


def reads_segments(transformer: Any) -> bool:
    """Whether a transformers network takes ``token_type_ids`` and knows more than one of them."""
    taken = inspect.signature(transformer.forward).parameters
    return "token_type_ids" in taken and getattr(transformer.config, "type_vocab_size", None) != 1


def build(name: str, member: Mapping[str, Any], classes: tuple[str, ...]) -> CompleteModel:
    """Build a sequence classifier in float32; ``layers`` is its number of transformer layers.

    Raises:
        CascadeError: for an encoder, tokenizer or configuration that is not there or does not fit.
    """
    wanted = read_member(name, member, TransformersMember)
    where = f"models.members.{name}"
    check_one_source(where, wanted)
    if wanted.encoder is not None:
        tokenizer = load_tokenizer(where, wanted, wanted.encoder)
        transformer = _pretrained(name, wanted, classes)
        check_vocabulary(where, tokenizer, transformer.config)
    else:
        tokenizer = load_tokenizer(where, wanted, None)
        transformer = from_scratch(where, wanted, tokenizer, classes)
    return finish(name, transformer, classes, wanted)


def check_one_source(where: str, wanted: TransformersMember | ExitsMember) -> None:
    """Raise a :class:`CascadeError` unless one of ``encoder`` and ``config`` is given."""
    if (wanted.encoder is None) == (wanted.config is None):
        found = "neither" if wanted.encoder is None else "both"
        raise CascadeError(
            f"{where}: expected encoder (a hub name or {DIRECTORY_FORM}) or config (model_type and "
            f"its fields, to train from scratch), found {found}"
        )


def write(model: CompleteModel, directory: Path) -> None:
    """Write what transformers' own ``from_pretrained(directory)`` loads, tokenizer included."""
    with quiet():
        model.network.transformer.save_pretrained(directory)  # type: ignore[operator, union-attr]
    save_tokenizer(model, directory)


def save_tokenizer(model: CompleteModel, directory: Path) -> None:
    """Write the model's tokenizer into ``directory`` where it is known."""
    if isinstance(model.input, TextInput) and model.input.tokenizer is not None:
        trust = model.description["trust_remote_code"]
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                model.input.tokenizer, trust_remote_code=trust
            )
            tokenizer.save_pretrained(directory)


def read(description: dict[str, Any], classes: tuple[str, ...], directory: Path) -> nn.Module:
    """Rebuild the network from what ``write`` left, in the dtype it was left in."""
    try:
        auto, trust = HEADS[description["head"]].auto, description["trust_remote_code"]
        transformer, info = load_written(auto, directory, trust)
    except Exception as error:  # safetensors, json and transformers each fail in their own way
        raise CascadeError(
            f"{directory}: damaged; transformers cannot load it ({one_line(error)})"
        ) from error
    unfit = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
    if unfit or transformer.config.num_labels != len(classes):
        raise CascadeError(
            f"{directory}: its weights do not fit its config.json with {len(classes)} classes "
            f"(found {transformer.config.num_labels}; first unfit weight: {unfit[:1] or 'none'})"
        )
    own_memory(transformer)
    return TokenClassifier(transformer)


def finish(
    name: str,
    transformer: Any,
    classes: tuple[str, ...],
    wanted: TransformersMember | TruncatedMember,
) -> CompleteModel:
    """Wrap a built ``transformer``, after trying it on a sequence of the greatest length."""
    network = TokenClassifier(transformer)
    endings = HEADS[wanted.head].endings(classes)
    wanted_input = TextInput(wanted.tokenizer or wanted.encoder, wanted.max_length, endings)
    try:
        with torch.no_grad():
            network.eval()(example_tokens(transformer.config, wanted.max_length, endings))
    except (IndexError, RuntimeError, ValueError) as error:
        raise CascadeError(
            f"models.members.{name}.max_length={wanted.max_length}: "
            f"{transformer.config.model_type} cannot take so many tokens ({one_line(error)})"
        ) from error
    description = {
        "family": "transformers",
        "config": architecture(transformer.config),
        "max_length": wanted.max_length,
        "head": wanted.head,
        "trust_remote_code": wanted.trust_remote_code,
    }
    layers = layer_count(transformer.config)
    return CompleteModel(name, network.train(), wanted_input, layers, classes, description)


def example_tokens(config: Any, length: int, endings: int = 1) -> dict[str, Tensor]:
    """One example of ``length`` tokens, none of them padding: int64 tensors [1, length].

    With several ``endings`` they are [1, endings, length].
    """
    token = 1 if getattr(config, "pad_token_id", None) == 0 else 0
    shape = (1, length) if endings == 1 else (1, endings, length)
    ids = torch.full(shape, token, dtype=torch.int64)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def layer_count(config: Any) -> int:
    """Transformer layers that an example passes, a decoder's included."""
    layers = int(config.num_hidden_layers)
    if config.is_encoder_decoder:
        layers += int(getattr(config, "num_decoder_layers", None) or config.decoder_layers)
    return layers


def _pretrained(name: str, wanted: TransformersMember, classes: tuple[str, ...]) -> Any:
    """The encoder under its own head where that fits the classes, else under a new one."""
    where, encoder, trust = f"models.members.{name}", wanted.encoder, wanted.trust_remote_code
    assert encoder is not None
    head = head_of(where, wanted.head)
    given = load_config(where, encoder, trust)
    try:
        with quiet():
            transformer, info = head.auto.from_pretrained(
                encoder,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                trust_remote_code=trust,
                output_loading_info=True,
                **label_fields(classes),
            )
    except Exception as error:  # safetensors, json and transformers each fail in their own way
        raise unusable(where, encoder, error) from error
    own_memory(transformer)
    changed = check_complete(
        f"{where}.encoder={encoder}", transformer, info, head_keys(transformer)
    )
    if changed:
        log.info("%s: new head of %d classes (%s)", name, len(classes), ", ".join(sorted(changed)))
    elif not head.per_ending:
        _align_labels(name, transformer, given, classes)
    return transformer


def head_keys(transformer: Any) -> list[str]:
    """Names of the weights outside the encoder proper: the classifier's, and its pooler's."""
    prefix = transformer.base_model_prefix + "."
    return [
        key
        for key in transformer.state_dict()
        if not key.startswith(prefix) or key.startswith(prefix + "pooler.")
    ]


def _align_labels(name: str, transformer: Any, given: Any, classes: tuple[str, ...]) -> None:
    """Bring a trained head's rows into the order of the data's classes, by the labels' names."""
    labels = [str(given.id2label[i]) for i in range(len(classes))]
    if all(re.fullmatch(r"LABEL_\d+", label) for label in labels):
        return
    found, wanted = ([label.casefold() for label in names] for names in (labels, classes))
    if found == wanted:
        return
    if sorted(found) != sorted(wanted):
        log.warning(
            "%s: the head's labels [%s] are taken for the classes [%s], in this order",
            name,
            ", ".join(labels),
            ", ".join(classes),
        )
        return
    order = torch.tensor([found.index(label) for label in wanted])
    prefix = transformer.base_model_prefix + "."
    last = [
        module
        for key, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and not key.startswith(prefix)
    ][-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.copy_(parameter[order])
    log.info("%s: the head's rows are put in the order [%s]", name, ", ".join(classes))


def from_scratch(
    where: str, wanted: TransformersMember, tokenizer: Any, classes: tuple[str, ...]
) -> Any:
    """A classifier with fresh weights from ``model_type`` and fields of its configuration."""
    values = dict(wanted.config or {})
    head: Head = head_of(where, wanted.head)
    kind = str(values.pop("model_type", ""))
    if kind not in head.types or kind not in CONFIG_MAPPING:
        raise CascadeError(
            f"{where}.config.model_type={kind}: transformers has no {head.words} of this "
            f"type{did_you_mean(kind, list(head.types))}"
        )
    schema = CONFIG_MAPPING[kind]
    known = _fields(schema)
    for key in values:
        if key in _NOT_FIELDS:
            raise CascadeError(f"{where}.config.{key}: set by the data's classes or here; leave it")
        if key not in known:
            near = did_you_mean(key, known)
            raise CascadeError(f"{where}.config.{key}: {kind} has no such field{near}")
    if tokenizer is not None:
        of_tokenizer = {"vocab_size": len(tokenizer)} | {
            f"{token}_token_id": getattr(tokenizer, f"{token}_token_id")
            for token in ("pad", "bos", "eos", "cls", "sep", "mask")
        }
        values = {key: v for key, v in of_tokenizer.items() if key in known} | values
    elif "vocab_size" in known and "vocab_size" not in values:
        raise CascadeError(
            f"{where}: set tokenizer, or config.vocab_size where the data brings one"
        )
    try:
        with quiet():
            config = schema(**values, **label_fields(classes))
            check_vocabulary(where, tokenizer, config)
            return head.auto.from_config(config, dtype=torch.float32)
    except CascadeError:
        raise
    except Exception as error:  # each configuration and network checks its fields in its own way
        raise CascadeError(f"{where}.config: {kind} refused it ({one_line(error)})") from error


def _fields(schema: Any) -> list[str]:
    return [*(f.name for f in fields(schema)), *getattr(schema, "attribute_map", {})]


def architecture(config: Any) -> dict[str, Any]:
    """The fields of a configuration that determine the network, those of its classes left out."""
    given = json.loads(config.to_json_string(use_diff=False))
    known = _fields(type(config))
    kept = {key: v for key, v in given.items() if key in known and key not in _NOT_FIELDS}
    return {"model_type": config.model_type, **kept}
