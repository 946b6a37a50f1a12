"""What examples look like: texts joined, pictures as PNG of a readable size."""

import io

import numpy as np
from PIL import Image

from cascade_exp.data.examples import Choice, Examples
from cascade_exp.data.preview import SIDE, preview


def examples(inputs) -> Examples:
    n = len(inputs)
    return Examples(np.arange(n) + 5, np.zeros(n, dtype=np.int64), inputs)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_texts():
    pairs = examples([("one", None), ("one", "two")])
    assert [preview(pairs, example) for example in (5, 6, 7)] == ["one", "one / two", None]
    assert preview(examples([Choice("so", ("a", "b"))]), 5) == "so / a / b"


def test_pictures_in_memory_are_enlarged_by_whole_factors():
    grey = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    shown = picture(preview(examples(grey), 5))
    assert shown.size == (SIDE, SIDE)
    np.testing.assert_array_equal(np.asarray(shown)[::8, ::8], grey[0, :, :, 0])
    colour = np.zeros((1, 30, 40, 3), dtype=np.uint8)
    assert picture(preview(examples(colour), 5)).size == (40, 30)


def test_picture_files_are_made_small(tmp_path):
    Image.new("L", (300, 150)).save(tmp_path / "a.png")
    assert picture(preview(examples([tmp_path / "a.png"]), 5)).size == (SIDE, SIDE // 2)
