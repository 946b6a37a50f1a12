"""``<name>.json`` beside a recorded array: what it was made from, and its checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cascade_exp.atomic import check_sha256
from cascade_exp.errors import CascadeError


def read_about(path: Path) -> dict[str, Any]:
    """The fields of the file ``path``; empty where there is no such file.

    Raises:
        CascadeError: if it is not a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise CascadeError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise CascadeError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def check_array(path: Path) -> None:
    """Verify the checksum of the array ``path`` where one is stored beside it.

    Raises:
        CascadeError: if the bytes of ``path`` have another sha256.
    """
    about = path.with_suffix(".json")
    expected = read_about(about).get("sha256")
    if expected is not None:
        check_sha256(path, str(expected), str(about))
