"""What recorded examples and classes look like to people: ``examples.csv`` and ``classes.txt``.

Both are optional.

``id,text`` or ``id,picture`` or both, a row per example; a picture is an image file, by a path from
the table's folder. It stands in ``<recordings>/<split>/`` (your own), else in ``<job>/examples`` as
``<split>.csv``: a training run keeps its data out of the recordings, which travel as artifacts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from cascade_exp.errors import CascadeError
from cascade_exp.tables import read_table, write_table

# Pixels of the longer side of a picture that is shown.
SIDE = 64


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


def read_previews(recordings: Path, split: str) -> Callable[[int], str | bytes | None] | None:
    """What the example of an id looks like, text or PNG; None where nobody has said.

    The function that is returned gives None for an id that the table does not have.

    Raises:
        CascadeError: if the table is none, or an id in it is no whole number.
    """
    path = recordings / split / "examples.csv"
    if not path.is_file():
        path = recordings.parent / "examples" / f"{split}.csv"
    if not path.is_file():
        return None
    rows: dict[int, dict[str, str]] = {}
    for where, fields in read_table(path, ["id"]):
        try:
            rows[int(fields["id"])] = fields
        except ValueError:
            raise CascadeError(f"{where}: id={fields['id']!r}; expected a whole number") from None

    def preview(example: int) -> str | bytes | None:
        fields = rows.get(example, {})
        if fields.get("picture"):
            return _png(path.parent / fields["picture"], f"{path}: id {example}")
        return fields.get("text") or None

    return preview


def write_examples(job: Path, split: str, rows: Sequence[tuple[int, str, str]]) -> None:
    """Keep (id, text, picture's absolute path) of a split's examples beside a job's recordings.

    Without rows there is no such file.
    """
    path = job / "examples" / f"{split}.csv"
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_table(path, ["id", "text", "picture"], rows)


def _png(path: Path, where: str) -> bytes:
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(path).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise CascadeError(f"{where}: picture {path} cannot be read ({error})") from None
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
