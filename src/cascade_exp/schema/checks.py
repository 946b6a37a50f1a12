"""The checks that Hydra does not make: keys that nothing reads, and members of a pool."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.models.members import TWO_PHASES, read_member
from cascade_exp.recordings.names import check_name
from cascade_exp.schema.training import MEMBERS, MemberTraining


@dataclass(frozen=True)
class Member:
    """One model of a pool: the mapping it is built from, and what it trains with of its own."""

    model: dict[str, Any]
    training: MemberTraining


def check_keys(config: DictConfig, at: str = "") -> None:
    """Refuse keys that no dataclass of the schema knows, at any depth.

    Raises:
        CascadeError: naming the key, with the nearest known one.
    """
    kind: Any = OmegaConf.get_type(config)
    known = {f.name for f in fields(kind)} if is_dataclass(kind) else None
    for key in map(str, config):
        where = f"{at}.{key}" if at else key
        if known is not None and key not in known:
            raise CascadeError(
                f"{where}: nothing reads this key{did_you_mean(key, known)}; "
                f"{at or 'this command'} knows {', '.join(sorted(known))}"
            )
        if OmegaConf.is_missing(config, key):
            raise CascadeError(f"{where}: a value is needed; give it as {where}=…")
        value = config._get_node(key)
        if isinstance(value, DictConfig) and not value._is_none():
            check_keys(value, where)


def check_members(models: DictConfig) -> dict[str, Member]:
    """The members of ``models`` by name.

    Raises:
        CascadeError: if there is none, a name cannot name a recording, or a key is unknown.
    """
    if not models.members:
        raise CascadeError("models.members is empty; a pool needs at least one model")
    read: dict[str, Member] = {}
    for name, member in models.members.items():
        where = f"models.members.{check_name(str(name), 'models.members')}"
        if not isinstance(member, DictConfig):
            raise CascadeError(f"{where}={member}: expected the settings of a model, family first")
        if OmegaConf.is_missing(member, "family"):
            raise CascadeError(f"{where}.family: a value is needed")
        family = choice(str(member.get("family")), MEMBERS, f"{where}.family")
        plain = OmegaConf.to_container(member, resolve=True)
        assert isinstance(plain, dict)
        settings: dict[str, Any] = {str(key): value for key, value in plain.items()}
        training = settings.pop("training", None) or {}
        for key in training:
            choice(str(key), MemberTraining.__dataclass_fields__, f"{where}.training")
            if key == "plain" and family == "exits":
                raise CascadeError(
                    f"{where}.training.plain: networks with exits are neither regularised nor "
                    "taught by the last stage, so nothing reads it"
                )
            if str(key).startswith("head_") and settings.get("method") not in TWO_PHASES:
                raise CascadeError(
                    f"{where}.training.{key}: only networks with exits whose heads are trained "
                    f"apart read it (family exits, method {' or '.join(TWO_PHASES)})"
                )
        if training.get("run") is not None and len(training) > 1:
            unread = ", ".join(str(key) for key in training if key != "run")
            raise CascadeError(f"{where}.training.run: not trained here, so nothing reads {unread}")
        read_member(str(name), settings, MEMBERS[family])
        read[str(name)] = Member(settings, MemberTraining(**training))
    return read
