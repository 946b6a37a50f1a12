"""What recorded examples and classes look like to people: ``examples.csv`` and ``classes.txt``.

Both are optional.

``id,text`` or ``id,picture`` or both, a row per example; a picture is an image file, by a path from
the table's folder. It stands in ``<recordings>/<split>/`` (your own), else in ``<job>/examples`` as
``<split>.csv``: a training run keeps its data out of the recordings, which travel as artifacts.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from cascade_exp.errors import CascadeError, one_line
from cascade_exp.tables import read_table, write_table

log = logging.getLogger(__name__)
SIDE = 64
"""Pixels of the longer side of a picture that is shown."""


def read_class_names(recordings: Path, classes: int) -> list[str] | None:
    """The names in ``<recordings>/classes.txt``, one a line; None where there is no such file.

    There may be more of them than ``classes``, which for recorded answers is the largest label + 1.

    Raises:
        CascadeError: if the file is not UTF-8 text, or names fewer than ``classes``.
    """
    path = recordings / "classes.txt"
    if not path.is_file():
        return None
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CascadeError(f"{path}: {error}; expected UTF-8 text") from None
    if len(names) < classes:
        raise CascadeError(
            f"{path}: {len(names)} lines, expected a class name for each of {classes} classes"
        )
    return names


def read_previews(recordings: Path, split: str) -> Callable[[int | str], str | bytes | None] | None:
    """What the example of an id looks like, text or PNG; None where there is no such table.

    The function that is returned gives None for an id that the table does not have. A picture of a
    table inside the recordings must lie inside them, too, since pages are shared; one that cannot
    be read is left out, with a warning in the log.

    Raises:
        CascadeError: if the table is malformed, or names a picture outside of the recordings.
    """
    path = recordings / split / "examples.csv"
    inside = path.is_file()
    if not inside:
        path = recordings.parent / "examples" / f"{split}.csv"
    if not path.is_file():
        return None
    rows: dict[str, dict[str, str]] = {}
    for where, fields in read_table(path, ["id"]):
        if inside and fields.get("picture"):
            _check_inside(path.parent / fields["picture"], recordings, where)
        rows[fields["id"]] = fields

    def preview(example: int | str) -> str | bytes | None:
        fields = rows.get(str(example), {})
        shown = None
        if fields.get("picture"):
            shown = _png(path.parent / fields["picture"], f"{path}: id {example}")
        return shown or fields.get("text") or None

    return preview


def _check_inside(picture: Path, recordings: Path, where: str) -> None:
    root = recordings.resolve()
    try:
        outside = root not in picture.resolve().parents
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero byte, a loop of links
        outside = True
    if outside:
        raise CascadeError(
            f"{where}: picture {picture} is outside of {recordings}; copy it into the recordings, "
            "whose pictures are shown in report.html"
        )


def write_examples(job: Path, split: str, rows: Sequence[tuple[int, str, str]]) -> None:
    """Keep (id, text, picture's absolute path) of a split's examples beside a job's recordings.

    Without rows there is no such file.
    """
    path = job / "examples" / f"{split}.csv"
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_table(path, ["id", "text", "picture"], rows)


def _png(path: Path, where: str) -> bytes | None:
    """The picture ``path``, small, as PNG; None where it cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path).convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
    except Exception as error:  # every decoder fails in its own way
        log.warning(f"{where}: picture {path} is left out: {one_line(error)}")
        return None
    return buffer.getvalue()
