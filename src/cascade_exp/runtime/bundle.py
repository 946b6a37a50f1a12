"""A bundle: one folder with a cascade and all that it needs to run; nothing in it is code.

    bundle/
      bundle.json     its format, the versions that wrote it, the columns that its models read
      cascade.json    what runs and when it is left, laid out as ``operating_point.json``
      models/<name>/  ``model.json``, weights (safetensors) and tokenizer of each model
      SHA256SUMS      the sha256 of every other file; ``sha256sum -c SHA256SUMS`` checks them too

``tools.bundle`` writes one out of a job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cascade_exp.atomic import check_sha256
from cascade_exp.errors import CascadeError, one_line
from cascade_exp.report.results.files import check_object, read_object
from cascade_exp.report.results.operating_point import VERSION, Deployment, operating_point_adapter

MANIFEST = "bundle.json"
CASCADE = "cascade.json"
MODELS = "models"
SUMS = "SHA256SUMS"
FORMAT = 1

_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")


@dataclass(frozen=True)
class Manifest:
    """``bundle.json``.

    Attributes:
        format: of the folder's layout.
        columns: of a table, those that hold the text or texts that its models were trained on;
            empty where the training data named none.
        versions: of the libraries that wrote it, by name.
    """

    format: int
    columns: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def is_bundle(place: Path) -> bool:
    """Whether ``place`` is a bundle, or what is left of one."""
    return any((place / name).is_file() for name in (MANIFEST, CASCADE, SUMS))


def read_bundle(folder: Path) -> tuple[Deployment, Manifest]:
    """The cascade of a bundle, once every file has been compared with its checksum.

    Raises:
        CascadeError: a file is missing, changed or not part of the bundle, or the format is newer
            than this version reads.
    """
    sums = _sums(folder)
    for name in (MANIFEST, CASCADE):
        if name not in sums:
            raise CascadeError(f"{folder / SUMS}: does not list {name}; the bundle is damaged")
    _check(folder, MANIFEST, sums)
    manifest = _manifest(folder / MANIFEST)
    for name in sums:
        _check(folder, name, sums)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and name not in sums and name != SUMS:
            raise CascadeError(
                f"{path}: not part of the bundle (no line of {SUMS}); take it out of the folder"
            )
    found = check_object(
        read_object(folder / CASCADE, VERSION), operating_point_adapter(), folder / CASCADE
    )
    if found["rule"] is None:
        raise CascadeError(f"{folder / CASCADE}: rule is null: it holds no cascade")
    for model, about in found["models"].items():
        if about is None or not about["weights"].startswith(f"{MODELS}/"):
            raise CascadeError(f"{folder / CASCADE}: models.{model}: no weights in {MODELS}/")
    return found, manifest


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise CascadeError(f"{path}: missing; the bundle is not whole") from None
    except UnicodeDecodeError:
        raise CascadeError(f"{path}: damaged: not UTF-8 text") from None
    sums: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _SUM.match(text, at)
        number = text.count("\n", 0, at) + 1
        if found is None:
            raise CascadeError(f"{path}: damaged: line {number} is not '<sha256>  <file>'")
        name = PurePosixPath(found[2])
        if name.is_absolute() or ".." in name.parts or str(name) in sums:
            raise CascadeError(f"{path}: damaged: line {number} names {found[2]!r}")
        sums[str(name)] = found[1]
        at = found.end()
    return sums


def _check(folder: Path, name: str, sums: Mapping[str, str]) -> None:
    if not (folder / name).is_file():
        raise CascadeError(
            f"{folder / name}: missing, and {SUMS} lists it; the bundle is not whole"
        )
    check_sha256(folder / name, sums[name], SUMS)


def _manifest(path: Path) -> Manifest:
    from pydantic import TypeAdapter, ValidationError

    try:
        text = path.read_text(encoding="utf-8")
        found: Any = json.loads(text)
        there = found["format"]
        if isinstance(there, int) and there > FORMAT:
            raise CascadeError(
                f"{path}: format {there}, and this version of cascade-exp reads {FORMAT}; a newer "
                "one wrote the bundle: install that"
            )
        manifest = TypeAdapter(Manifest).validate_json(text, strict=True)
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError) as error:
        raise CascadeError(f"{path}: not the manifest of a bundle ({one_line(error)})") from None
    if manifest.format != FORMAT:
        raise CascadeError(f"{path}: found format {manifest.format}, expected {FORMAT}")
    return manifest
