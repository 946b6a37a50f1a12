"""From a composed configuration to its dataclasses, and the checks that Hydra does not make."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.models.members import FAMILIES, merged, read_keys, read_member
from cascade_exp.recordings.names import check_name
from cascade_exp.schema.evaluating import (
    EACH,
    CommonConfig,
    ExitsCascade,
    StagesCascade,
    TiersCascade,
)
from cascade_exp.schema.renamed import refuse_renamed_key
from cascade_exp.schema.training import FrontModels, MemberTraining


@dataclass(frozen=True)
class Member:
    """One model of a pool: the mapping it is built from, and what it trains with of its own."""

    model: dict[str, Any]
    training: MemberTraining


def to_settings(config: DictConfig) -> CommonConfig:
    """The composed ``config`` as the dataclasses of the schema, each having checked its values.

    ``config`` itself stays as it is.

    Raises:
        CascadeError: naming the key in full, with the value found and what was expected.
    """
    typed = copy.deepcopy(config)
    _read_each(typed)
    _check_keys(typed)
    _check_values(typed)
    settings = OmegaConf.to_object(typed)
    assert isinstance(settings, CommonConfig)
    return settings


def refuse_unread(settings: CommonConfig, overrides: Iterable[str]) -> None:
    """Refuse keys of the search in ``overrides`` that the chosen kind of cascade does not read.

    A given cascade has as many stages as it is given; its gap is read where the thresholds of four
    stages or more are searched (docs/search.md).

    Raises:
        CascadeError: naming the key, and what to use instead.
    """
    cascade = settings.cascade
    if isinstance(cascade, StagesCascade):
        stages = len(cascade.stages) if isinstance(cascade.stages, list) else 1
    elif isinstance(cascade, TiersCascade) and cascade.tiers is not None:
        tiers = cascade.tiers
        stages = len(tiers.split(">") if isinstance(tiers, str) else tiers)
    elif isinstance(cascade, ExitsCascade):
        stages = 0 if settings.threshold.shared is not False else sys.maxsize
    else:
        return
    unread = ["search.max_stages", *(["search.gap"] if stages < 4 else [])]
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key in unread:
            raise CascadeError(
                f"{key}={value} with cascade={cascade.name}: its stages are given, so nothing "
                "reads it; cascade=search looks for cascades"
            )


def _read_each(config: DictConfig, at: str = "") -> None:
    """Read the values of dictionaries of one dataclass (``EACH``) into it, at any depth."""
    kind: Any = OmegaConf.get_type(config)
    each = {f.name: f.metadata.get(EACH) for f in fields(kind)} if is_dataclass(kind) else {}
    for key in map(str, config):
        node = config._get_node(key)
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            continue
        element = each.get(key)
        if element is None:
            _read_each(node, f"{at}{key}.")
            continue
        with flag_override(node, ["struct", "readonly"], False):
            for name in map(str, node):
                node[name] = _element(node._get_node(name), element, f"{at}{key}.{name}")


def _element(node: Any, element: type, where: str) -> DictConfig:
    """``node`` as a config of the dataclass ``element``."""
    if not isinstance(node, DictConfig) or node._is_none():
        known = ", ".join(f.name for f in fields(element))
        raise CascadeError(f"{where}={node}: expected settings with the keys {known}")
    if OmegaConf.get_type(node) is element:
        return node
    return merged(f"{where}.", node, element)


def _check_keys(config: DictConfig, at: str = "") -> None:
    """Refuse keys that no dataclass of the schema knows, and missing values, at any depth."""
    kind: Any = OmegaConf.get_type(config)
    known = {f.name for f in fields(kind)} if is_dataclass(kind) else None
    for key in map(str, config):
        where = f"{at}{key}"
        if known is not None and key not in known:
            raise CascadeError(
                f"{where}: nothing reads this key{did_you_mean(key, known)}; "
                f"{at[:-1] or 'this command'} knows {', '.join(sorted(known))}"
            )
        if OmegaConf.is_missing(config, key):
            raise CascadeError(f"{where}: a value is needed; give it as {where}=…")
        value = config._get_node(key)
        if isinstance(value, DictConfig) and not value._is_none():
            _check_keys(value, f"{where}.")


def _check_values(config: DictConfig, at: str = "") -> None:
    """Make the dataclasses of ``config`` from the innermost outwards, so that keys are named."""
    for key in map(str, config):
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            _check_values(node, f"{at}{key}.")
    if is_dataclass(OmegaConf.get_type(config)):
        try:
            OmegaConf.to_object(config)
        except CascadeError as error:
            raise CascadeError(_in_full(at, str(error), config)) from None


def _in_full(at: str, message: str, config: DictConfig) -> str:
    """``message`` with the key in full: a message that names no key is about the whole group."""
    named = re.match(r"\w+", message)
    about_a_key = not at or (named is not None and named[0] in config)
    return f"{at}{message}" if about_a_key else f"{at[:-1]}: {message}"


def check_members(models: DictConfig) -> dict[str, Member]:
    """The members of ``models`` by name.

    Raises:
        CascadeError: if there is none, a name cannot name a recording, or a key is unknown.
    """
    settings = OmegaConf.to_object(models)
    picked = settings.front_members() if isinstance(settings, FrontModels) else {}
    members = {**OmegaConf.create(picked), **(models.members or {})}
    if not members:
        raise CascadeError("models.members is empty; a pool needs at least one model")
    return {str(name): _member(str(name), given) for name, given in members.items()}


def _member(name: str, given: Any) -> Member:
    where = f"models.members.{check_name(name, 'models.members')}"
    if not isinstance(given, DictConfig):
        raise CascadeError(f"{where}={given}: expected the settings of a model, family first")
    if OmegaConf.is_missing(given, "family"):
        raise CascadeError(f"{where}.family: a value is needed")
    family = choice(str(given.get("family")), FAMILIES, f"{where}.family")
    resolved = OmegaConf.to_container(given, resolve=True)
    assert isinstance(resolved, dict)
    settings: dict[str, Any] = {str(key): value for key, value in resolved.items()}
    own = settings.pop("training", None) or {}
    for key in own:
        refuse_renamed_key(f"{where}.training.{key}")
    training = read_keys(f"{where}.training.", own, MemberTraining)
    _check_training(f"{where}.training", training, settings)
    read_member(name, settings, FAMILIES[family].member)
    return Member(settings, training)


def _check_training(where: str, training: MemberTraining, model: Mapping[str, Any]) -> None:
    """Refuse settings of the training that nothing reads."""
    exits = model["family"] == "exits"
    if training.unregularised and exits:
        raise CascadeError(
            f"{where}.unregularised: networks with exits are neither regularised nor taught by "
            "the last stage, so nothing reads it"
        )
    given = [f.name for f in fields(training) if getattr(training, f.name) != f.default]
    for key in given:
        if key.startswith("head_"):
            _check_heads(f"{where}.{key}", model)
    if training.run is not None and len(given) > 1:
        unread = ", ".join(key for key in given if key != "run")
        raise CascadeError(f"{where}.run: not trained here, so nothing reads {unread}")


def _check_heads(where: str, model: Mapping[str, Any]) -> None:
    from cascade_exp.models.exit_methods import METHODS  # needs torch

    apart = [name for name, method in METHODS.items() if len(method.phases) > 1]
    if model["family"] != "exits" or model.get("method") not in apart:
        raise CascadeError(
            f"{where}: only networks with exits whose heads are trained apart read it (family "
            f"exits, method {' or '.join(apart)})"
        )
