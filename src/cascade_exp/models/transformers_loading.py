"""Loading transformers' parts, configurations and tokenizers: quietly, with one-line errors.

The models themselves are in ``transformers_models``, ``truncation`` and ``exits``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging as library_logging

from cascade_exp.errors import CascadeError, one_line
from cascade_exp.hub import hub_has
from cascade_exp.models.members import TextMember

DIRECTORY_FORM = "a directory with config.json, model.safetensors and the tokenizer's files"
AID = "set tokenizer to a hub name or a directory with tokenizer.json"


def load_config(where: str, encoder: str, trust: bool) -> Any:
    """The configuration of ``encoder``, a hub name or a directory.

    Raises:
        CascadeError: naming ``where``, if there is none.
    """
    if not Path(encoder).is_dir():
        _check_hub_name(f"{where}.encoder", encoder)
    try:
        with quiet():
            return AutoConfig.from_pretrained(encoder, trust_remote_code=trust)
    except Exception as error:  # the hub's, json's and transformers' own
        raise unusable(where, encoder, error) from error


def load_encoder(where: str, encoder: str, trust: bool) -> Any:
    """The encoder without a classifier, in float32; its pooler may be new.

    Raises:
        CascadeError: naming ``where``, if it cannot be loaded or lacks weights of its own.
    """
    try:
        with quiet():
            network, info = AutoModel.from_pretrained(
                encoder, dtype=torch.float32, trust_remote_code=trust, output_loading_info=True
            )
    except Exception as error:  # safetensors, json and transformers each fail in their own way
        raise unusable(where, encoder, error) from error
    pooler = [key for key in network.state_dict() if key.startswith("pooler.")]
    check_complete(f"{where}.encoder={encoder}", network, info, pooler)
    return network


def load_written(auto: Any, directory: Path, trust: bool) -> tuple[Any, dict[str, Any]]:
    """The network that ``save_pretrained`` left in ``directory``, in the dtype it was left in, and
    which of its weights did not fit.

    Args:
        auto: transformers' class of such networks, as ``AutoModel``.

    Raises:
        Exception: whatever safetensors, json or transformers raise for damaged files.
    """
    with quiet():
        network, fit = auto.from_pretrained(
            directory,
            dtype="auto",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust,
            output_loading_info=True,
        )
    return network, fit


def load_tokenizer(where: str, wanted: TextMember, encoder: str | None) -> Any:
    """The member's tokenizer, else its encoder's; None when it has neither.

    Raises:
        CascadeError: if it cannot be loaded, or cannot pad.
    """
    source = wanted.tokenizer or encoder
    if source is None:
        return None
    key = "encoder" if wanted.tokenizer is None else "tokenizer"
    if not Path(source).is_dir():
        _check_hub_name(f"{where}.{key}", source)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                source, trust_remote_code=wanted.trust_remote_code
            )
    except Exception as error:  # the hub's, json's, tokenizers' and transformers' own
        raise CascadeError(
            f"{where}.{key}={source}: no tokenizer could be loaded from it; {AID} "
            f"({one_line(error)})"
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # Without its files transformers makes an empty tokenizer, which knows no word.
        raise CascadeError(
            f"{where}.{key}={source}: the tokenizer's files are missing there; {AID}"
        )
    if tokenizer.pad_token_id is None:
        raise CascadeError(f"{where}.{key}={source}: its tokenizer has no padding token; save one")
    return tokenizer


def check_vocabulary(where: str, tokenizer: Any, config: Any) -> None:
    """Refuse a tokenizer that knows more tokens than the encoder has embeddings.

    An encoder that reads characters (CANINE) has no such number and takes any.
    """
    size = getattr(config, "vocab_size", None)
    if tokenizer is not None and size is not None and len(tokenizer) > size:
        raise CascadeError(
            f"{where}.tokenizer: {len(tokenizer)} tokens, but the encoder has embeddings for "
            f"{size} (vocab_size)"
        )


def check_complete(
    where: str, network: Any, info: dict[str, Any], head: Iterable[str]
) -> list[str]:
    """Names of the weights that the checkpoint did not give; all must be among the ``head``'s.

    Args:
        where: the key and its value, for the error.
        network: what was loaded.
        info: transformers' loading info.
        head: names of the weights that may be new.

    Raises:
        CascadeError: if a weight of the encoder proper is missing or of another shape.
    """
    fresh = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    if lost := sorted(fresh - set(head)):
        raise CascadeError(
            f"{where}: {len(lost)} weights of the encoder are missing or of another shape, "
            f"{lost[0]} for one; are they a {network.config.model_type}'s?"
        )
    return sorted(fresh)


def own_memory(network: Any) -> None:
    """Move the weights out of the file they were mapped from, into memory of the usual alignment.

    A matrix product can differ in its last bit with the alignment, and loaded logits equal saved.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.clone()


def label_fields(classes: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a configuration that follow from the classes."""
    return {
        "num_labels": len(classes),
        "id2label": dict(enumerate(classes)),
        "label2id": {label: i for i, label in enumerate(classes)},
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' warnings and progress bars back, in the block only."""
    verbosity, bars = library_logging.get_verbosity(), library_logging.is_progress_bar_enabled()
    library_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    library_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        library_logging.set_verbosity(verbosity)
        if bars:
            library_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def unusable(where: str, encoder: str, error: Exception) -> CascadeError:
    """The line for an encoder that transformers refuses."""
    if "trust_remote_code" in str(error):
        return CascadeError(
            f"{where}.encoder={encoder}: it needs code of its own to run; trust_remote_code=true "
            "on this member allows it"
        )
    return CascadeError(
        f"{where}.encoder={encoder}: not usable; expected a hub name or {DIRECTORY_FORM} "
        f"({one_line(error)})"
    )


def _check_hub_name(where: str, source: str) -> None:
    """Refuse what cannot be had at once; the library would retry for half a minute."""
    if source.startswith((".", "/", "~")) or source.count("/") > 1 or "\\" in source:
        raise CascadeError(f"{where}={source}: no such directory; expected {DIRECTORY_FORM}")
    if not hub_has(source):
        raise CascadeError(
            f"{where}={source}: no such directory, not in the hub's cache, and the hub cannot be "
            f"reached; give {DIRECTORY_FORM}"
        )
