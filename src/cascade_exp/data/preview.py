"""How an example is shown in reports: its text, or a small picture as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from cascade_exp.data.examples import Choice, Examples, Text

# Pixels of the longer side of a picture; smaller ones are enlarged by whole factors.
SIDE = 64


def descriptions(examples: Examples) -> list[tuple[int, str, str]]:
    """(id, text, path of the picture) of every example; empty where pictures are arrays."""
    rows = []
    for id, shown in zip(examples.ids.tolist(), examples.inputs, strict=True):
        if isinstance(shown, Choice | tuple):
            rows.append((id, _text(shown), ""))
        elif isinstance(shown, Path):
            rows.append((id, "", str(shown.resolve())))
    return rows


def _text(shown: Choice | Text) -> str:
    parts = (shown.context, *shown.endings) if isinstance(shown, Choice) else shown
    return " / ".join(text for text in parts if text)


def preview(examples: Examples, example: int | str) -> str | bytes | None:
    """The example of id ``example`` as text or PNG bytes; None where there is no such id."""
    from PIL import Image

    (found,) = np.nonzero(examples.ids == example)
    if not len(found):
        return None
    shown = examples.inputs[int(found[0])]
    if isinstance(shown, Choice | tuple):
        return _text(shown)
    picture: Image.Image
    if isinstance(shown, Path):
        picture = Image.open(shown).convert("RGB")
        picture.thumbnail((SIDE, SIDE))
    else:
        picture = Image.fromarray(shown[:, :, 0] if shown.shape[2] == 1 else shown)
        factor = max(SIDE // max(picture.size), 1)
        size = (picture.width * factor, picture.height * factor)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    written = io.BytesIO()
    picture.save(written, format="PNG")
    return written.getvalue()
