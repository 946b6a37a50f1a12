"""What a user writes about one model: the keys of ``models.members.<name>`` by family.

Plain dataclasses, light to import (no torch), which serve as the structured configs too; reading a
mapping into one of them checks its keys and types. What is built from them is in each family's
module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from cascade_exp.errors import CascadeError, did_you_mean


@dataclass
class TimmMember:
    """A timm model, pretrained or from scratch.

    Attributes:
        architecture: timm's name, ``resnet50`` or with a tag, ``resnet50.a1_in1k``.
        family: ``timm``.
        pretrained: load timm's weights from the hub.
        in_chans: channels of the images.
        image_size: height and width in pixels; null = the architecture's own.
        checkpoint: a local .safetensors or .pth file to load instead of timm's weights.
        options: further arguments of the architecture, such as ``drop_rate``, ``drop_path_rate``.
    """

    architecture: str
    family: str = "timm"
    pretrained: bool = False
    in_chans: int = 3
    image_size: int | None = None
    checkpoint: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class TransformersMember:
    """A transformers sequence classifier: a given encoder (or classifier), or one from scratch.

    Attributes:
        family: ``transformers``.
        encoder: hub name or directory to load; exactly one of ``encoder`` and ``config`` is given.
        config: ``model_type`` and fields of that type's configuration, to train from scratch.
        tokenizer: hub name or directory; null = the encoder's own.
        max_length: longest sequence in tokens.
        head: ``classification``, or ``multiple_choice`` for data whose classes are endings.
        trust_remote_code: let the hub's repository or the directory run code of its own.
    """

    family: str = "transformers"
    encoder: str | None = None
    config: dict[str, Any] | None = None
    tokenizer: str | None = None
    max_length: int = 128
    head: str = "classification"
    trust_remote_code: bool = False


@dataclass
class TruncatedMember:
    """The first ``layers`` layers of a given encoder under a new head (BERT-kL; CascadeBERT, §2).

    Attributes:
        encoder: hub name or directory of the encoder to cut.
        layers: how many of its layers to keep, 1..L.
        family: ``truncated``.
        tokenizer: hub name or directory; null = the encoder's own.
        max_length: longest sequence in tokens.
        head: ``classification``, or ``multiple_choice`` for data whose classes are endings.
        trust_remote_code: let the hub's repository or the directory run code of its own.
    """

    encoder: str
    layers: int
    family: str = "truncated"
    tokenizer: str | None = None
    max_length: int = 128
    head: str = "classification"
    trust_remote_code: bool = False


@dataclass
class ExitsMember:
    """An encoder with an exit after every layer (``models.exits``).

    Attributes:
        method: whose heads, and how they are trained: one of ``exit_methods.METHODS``.
        family: ``exits``.
        encoder: hub name or directory to load; exactly one of ``encoder`` and ``config`` is given.
        config: ``model_type`` and fields of that type's configuration, to train from scratch.
        tokenizer: hub name or directory; null = the encoder's own.
        max_length: longest sequence in tokens.
        trust_remote_code: let the hub's repository or the directory run code of its own.
    """

    method: str
    family: str = "exits"
    encoder: str | None = None
    config: dict[str, Any] | None = None
    tokenizer: str | None = None
    max_length: int = 128
    trust_remote_code: bool = False


TextMember = TransformersMember | TruncatedMember | ExitsMember


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        member: the dataclass of its keys.
        module: the module that builds, writes and reads its models (``complete.FamilyModule``),
            imported when it is first asked for.
    """

    member: type
    module: str


FAMILIES: dict[str, Family] = {
    "timm": Family(TimmMember, "cascade_exp.models.timm_models"),
    "transformers": Family(TransformersMember, "cascade_exp.models.transformers_models"),
    "truncated": Family(TruncatedMember, "cascade_exp.models.truncation"),
    "exits": Family(ExitsMember, "cascade_exp.models.exits"),
}
"""``family`` of a member -> the family; the one place where a family is entered."""

Schema = TypeVar("Schema")


def read_member(name: str, member: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Read the mapping ``member`` of the model ``name`` into its family's ``schema``.

    Raises:
        CascadeError: for a key that the family does not have, one that is missing, a wrong type.
    """
    return read_keys(f"models.members.{name}.", member, schema)


def read_keys(prefix: str, given: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Read ``given`` into the dataclass ``schema``; ``prefix`` precedes a key's name in errors.

    Raises:
        CascadeError: for an unknown key, a missing one, a value of a wrong type.
    """
    try:
        resolved = {str(key): _resolved(given, key) for key in given}
        return OmegaConf.to_object(merged(prefix, resolved, schema))  # type: ignore[return-value]
    except MissingMandatoryValue as error:
        raise CascadeError(
            f"{prefix}{error.key}: missing; a value is needed, {prefix}{error.key}=…"
        ) from None
    except OmegaConfBaseException as error:
        raise _refused(prefix, error) from None


def merged(prefix: str, given: Mapping[str, Any], schema: type) -> DictConfig:
    """``given`` as a config of the dataclass ``schema``, whose own values may be missing.

    Raises:
        CascadeError: for an unknown key, or a value of a wrong type; ``prefix`` precedes the key.
    """
    try:
        found = OmegaConf.merge(OmegaConf.structured(schema), given)
    except ConfigKeyError as error:
        known = [f.name for f in fields(schema)]
        raise CascadeError(
            f"{prefix}{error.full_key}: no such key; expected one of "
            f"{', '.join(known)}{did_you_mean(str(error.key), known)}"
        ) from None
    except OmegaConfBaseException as error:
        raise _refused(prefix, error) from None
    assert isinstance(found, DictConfig)
    return found


def _refused(prefix: str, error: OmegaConfBaseException) -> CascadeError:
    return CascadeError(f"{prefix}{error.full_key}: {str(error).splitlines()[0]}")


def _resolved(given: Mapping[str, Any], key: str) -> Any:
    """The value of ``key`` with its interpolations resolved where it stands in a larger config."""
    if OmegaConf.is_config(given) and OmegaConf.is_missing(given, key):
        return MISSING
    value = given[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
