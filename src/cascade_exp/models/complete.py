"""A complete model: a classifier that answers by itself, whatever library it comes from.

Building one from its member mapping, saving and loading it, and the key of its weights. The
families themselves are in ``timm_models``, ``transformers_models``, ``truncation`` and ``exits``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import nn

from cascade_exp.atomic import check_sha256, replacing_folder, sha256_of
from cascade_exp.errors import CascadeError, choice, one_line
from cascade_exp.hub import without_hub
from cascade_exp.models.inputs import ImageInput, TextInput
from cascade_exp.models.members import FAMILIES

RECORD = "model.json"
RECORD_VERSION = 2
FIELDS = {"name": str, "classes": list, "layers": int, "input": dict, "description": dict}
"""What a record holds besides its version, and of which types."""


@dataclass(frozen=True)
class CompleteModel:
    """A classifier over K classes.

    Attributes:
        name: what the user calls it.
        network: ``network(inputs)`` gives logits float [B, K], or [B, exits, K] of a network with
            exits; ``inputs`` is a tensor [B, C, H, W] (``ImageInput``) or a dict of token tensors
            [B, T] or [B, K, T] (``TextInput``).
        input: what the network wants to be fed.
        layers: its depth (see ``depth`` and the family's module for what is counted).
        classes: the K labels, in the order of the logits.
        description: a plain, JSON-able member mapping that builds the same architecture with fresh
            weights: ``build_model(name, description, classes)``.
    """

    name: str
    network: nn.Module
    input: ImageInput | TextInput
    layers: int
    classes: tuple[str, ...]
    description: dict[str, Any]


class FamilyModule(Protocol):
    """What the module of a family offers; ``truncated`` only builds, for it builds transformers."""

    def build(
        self, name: str, member: Mapping[str, Any], classes: tuple[str, ...]
    ) -> CompleteModel:
        """Build the model from its member mapping, in training mode."""
        ...

    def write(self, model: CompleteModel, directory: Path) -> None:
        """Write the weights, and the tokenizer when it is known, into an existing directory."""
        ...

    def read(
        self, description: dict[str, Any], classes: tuple[str, ...], directory: Path
    ) -> nn.Module:
        """Rebuild the network from what ``write`` left."""
        ...


def family_module(family: str) -> FamilyModule:
    """The module of ``family``, imported now."""
    return cast(FamilyModule, importlib.import_module(FAMILIES[family].module))


def build_model(name: str, member: Mapping[str, Any], classes: Sequence[str]) -> CompleteModel:
    """Build the model that ``member`` describes, its network in training mode.

    Args:
        name: what the user calls it; names it in errors.
        member: the keys of ``models.members.<name>``; ``family`` says which others there are.
        classes: the K >= 2 labels, in the order of the logits.

    Raises:
        CascadeError: for an unknown family, key, architecture or file; for fewer than two classes.
    """
    labels = tuple(str(label) for label in classes)
    if len(set(labels)) < 2 or len(set(labels)) != len(labels):
        raise CascadeError(
            f"model {name}: found the classes [{', '.join(labels)}], expected two or more different"
        )
    if member.get("family") is None:
        raise CascadeError(
            f"models.members.{name}.family: missing; expected one of {', '.join(FAMILIES)}"
        )
    family = choice(str(member["family"]), FAMILIES, f"models.members.{name}.family")
    return family_module(family).build(name, member, labels)


def save_model(model: CompleteModel, directory: str | Path) -> None:
    """Write ``model`` to ``directory``: ``model.json`` and safetensors weights.

    A transformers model is written so that transformers itself can load the directory, with its
    tokenizer when it is known. The directory appears whole or not at all; an older model there is
    replaced.

    Raises:
        CascadeError: if ``directory`` holds something else than a model.
    """
    record: dict[str, Any] = {
        "version": RECORD_VERSION,
        "name": model.name,
        "classes": list(model.classes),
        "layers": model.layers,
        "input": _input_record(model.input),
        "description": model.description,
    }
    target = Path(directory)
    if target.exists() and not (target / RECORD).is_file() and any(target.iterdir()):
        raise CascadeError(f"{target}: holds something else than a model; it is left alone")
    with replacing_folder(target) as unfinished:
        family_module(model.description["family"]).write(model, unfinished)
        written = sorted(path for path in unfinished.rglob("*") if path.is_file())
        record["sha256"] = {str(p.relative_to(unfinished)): sha256_of(p) for p in written}
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_model(directory: str | Path, trust_remote_code: bool = False) -> CompleteModel:
    """Load what ``save_model`` wrote, its network in evaluation mode.

    Nothing is unpickled, no hub is asked, and every file has the checksum that it was saved with.

    Args:
        directory: where it was saved.
        trust_remote_code: let a model whose member was built with ``trust_remote_code`` run the
            code that lies in its directory.

    Raises:
        CascadeError: if the directory, its record or its weights are missing, damaged or unfit.
    """
    path = Path(directory)
    record = _read_record(path)
    description, classes = record["description"], tuple(record["classes"])
    if description.get("trust_remote_code") and not trust_remote_code:
        raise CascadeError(
            f"{path}: this model runs code of its own from there; trust_remote_code=true allows it"
        )
    _check_files(path, record.get("sha256", {}))
    try:
        with without_hub():
            network = family_module(description["family"]).read(description, classes, path)
        return CompleteModel(
            name=record["name"],
            network=network.eval(),
            input=_input_of(record["input"], path),
            layers=record["layers"],
            classes=classes,
            description=description,
        )
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, OSError) as error:
        raise CascadeError(
            f"{path / RECORD}: does not describe a model that can be built ({one_line(error)})"
        ) from error


def saved_input(directory: str | Path) -> ImageInput | TextInput:
    """What the model in ``directory`` wants to be fed, without loading it.

    Raises:
        CascadeError: if no model was saved there, or its record is damaged.
    """
    path = Path(directory)
    return _input_of(_read_record(path)["input"], path)


def _check_files(directory: Path, sums: object) -> None:
    """Verify the checksums in a model's record; a file that is missing is reported by its family.

    Raises:
        CascadeError: naming the file that is damaged.
    """
    if not isinstance(sums, Mapping):
        raise CascadeError(f"{directory / RECORD}: sha256 is {sums!r}, expected one per file")
    for name, expected in sums.items():
        path = directory / str(name)
        if path.is_file():
            check_sha256(path, str(expected), str(directory / RECORD))


def weights_key(model: CompleteModel) -> str:
    """sha256 (hex) of what determines the logits: architecture, and every weight to the last bit.

    Over the description and, in order of name, each parameter's and buffer's name, dtype, shape and
    bytes; wherever the network lies, and whatever it is called.
    """
    digest = hashlib.sha256(json.dumps(model.description, sort_keys=True).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _input_record(wanted: ImageInput | TextInput) -> dict[str, Any]:
    kind = "image" if isinstance(wanted, ImageInput) else "text"
    if isinstance(wanted, TextInput) and wanted.tokenizer is not None:
        wanted = replace(wanted, tokenizer=".")
    return {"kind": kind, **asdict(wanted)}


def _input_of(record: Mapping[str, Any], directory: Path) -> ImageInput | TextInput:
    values = {key: value for key, value in record.items() if key != "kind"}
    if record["kind"] == "image":
        values |= {"mean": tuple(values["mean"]), "std": tuple(values["std"])}
        return _checked(ImageInput(**values), directory)
    known = values["tokenizer"] is not None
    return _checked(
        TextInput(**{**values, "tokenizer": str(directory) if known else None}), directory
    )


def _checked(read: ImageInput | TextInput, directory: Path) -> ImageInput | TextInput:
    """``read`` itself, if all its values are of the types that its fields declare."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(type(read)).validate_python(asdict(read))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("input", *first["loc"])))
        raise CascadeError(
            f"{directory / RECORD}: not the record of a saved model ({key}: {first['msg']})"
        ) from None
    return read


def _read_record(directory: Path) -> dict[str, Any]:
    path = directory / RECORD
    if not path.is_file():
        raise CascadeError(f"{directory}: no saved model here (expected {RECORD} and its weights)")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, family = record["version"], record["description"]["family"]
        wrong = [f"no {key}" for key in FIELDS if key not in record]
        wrong += [
            f"{key}: {record[key]!r}"
            for key, kind in FIELDS.items()
            if not wrong and not isinstance(record[key], kind)
        ]
        if not wrong and not all(isinstance(name, str) for name in record["classes"]):
            wrong = [f"classes: {record['classes']!r}"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CascadeError(f"{path}: not the record of a saved model ({one_line(error)})") from None
    if wrong:
        raise CascadeError(f"{path}: not the record of a saved model ({one_line(wrong[0])})")
    if version != RECORD_VERSION or str(family) not in FAMILIES:
        raise CascadeError(
            f"{path}: found version {version} and family {family}, expected version "
            f"{RECORD_VERSION} and one of {', '.join(FAMILIES)}"
        )
    return record
