"""From raw inputs to what a network reads: texts tokenised, pictures decoded and resized.

A reader is one way to do so. Stages that read alike share one reader, and so what it has made of a
chunk of inputs: texts are tokenised once where tokenizers agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from cascade_exp.cascade.stages import Ints
from cascade_exp.data.examples import Choice, Examples, Text, as_texts
from cascade_exp.data.image_transform import ImageTransform
from cascade_exp.errors import CascadeError, one_line
from cascade_exp.models.inputs import ImageInput, TextInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from cascade_exp.data.tokenizing import Tokens

Batch = Tensor | Mapping[str, Tensor]


class Readable(Protocol):
    """n inputs, prepared."""

    def batch(self, places: Ints) -> Batch:
        """Those at ``places`` (int64 [m], 0..n - 1) as the network takes them."""
        ...

    def lengths(self) -> Ints | None:
        """int64 [n], by which inputs are best batched; None where it does not matter."""
        ...


class Reader(Protocol):
    """One way to prepare raw inputs."""

    def check(self, item: object) -> str | None:
        """Why ``item`` cannot be read; None where it can."""
        ...

    def read(self, items: Sequence[object]) -> tuple[Readable, list[str | None]]:
        """``items`` prepared, and by item why it could not be; such items have empty places."""
        ...


@dataclass(frozen=True)
class _Pictures(Readable):
    pixels: Tensor
    transform: ImageTransform

    @override
    def batch(self, places: Ints) -> Batch:
        return self.transform.normalise(self.pixels[torch.from_numpy(places)])

    @override
    def lengths(self) -> Ints | None:
        return None


@dataclass(frozen=True)
class ImageReader(Reader):
    """Pictures: paths, PIL images, or uint8 arrays [H, W] or [H, W, C] with C 1 or 3."""

    transform: ImageTransform

    @override
    def check(self, item: object) -> str | None:
        from PIL import Image

        if isinstance(item, str | Path | Image.Image):
            return None
        if not isinstance(item, np.ndarray):
            return f"found {type(item).__name__}, expected an image, an array or a path"
        good = item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (1, 3))
        if item.dtype != np.uint8 or not good or 0 in item.shape:
            return (
                f"an array {item.dtype} {list(item.shape)}, expected uint8 [height, width, 1 or 3]"
            )
        return None

    @override
    def read(self, items: Sequence[object]) -> tuple[Readable, list[str | None]]:
        it = self.transform
        pixels = torch.zeros(len(items), it.channels, it.size, it.size, dtype=torch.uint8)
        reasons: list[str | None] = [self.check(item) for item in items]
        for place, alike in self._arrays(items, reasons).items():
            pixels[torch.tensor(alike)] = it.resize(_stacked([items[at] for at in alike], place))
        for at, item in enumerate(items):
            if reasons[at] is None and not isinstance(item, np.ndarray):
                try:
                    pixels[at] = self._pixels(item)
                except CascadeError as error:
                    reasons[at] = one_line(error)
        return _Pictures(pixels, it), reasons

    def _pixels(self, item: object) -> Tensor:
        if isinstance(item, str | Path):
            return self.transform.open(Path(item))
        try:
            return self.transform.pixels(item)  # type: ignore[arg-type]  # a PIL image, as checked
        except (OSError, ValueError, SyntaxError) as error:
            raise CascadeError(f"not an image that can be read: {one_line(error)}") from error

    @staticmethod
    def _arrays(
        items: Sequence[object], reasons: Sequence[str | None]
    ) -> dict[tuple[int, ...], list[int]]:
        """By shape, the places of the arrays that have it: they are resized at once."""
        found: dict[tuple[int, ...], list[int]] = {}
        for at, (item, reason) in enumerate(zip(items, reasons, strict=True)):
            if reason is None and isinstance(item, np.ndarray):
                found.setdefault(item.shape, []).append(at)
        return found


def _stacked(arrays: list[NDArray[np.uint8]] | list[object], shape: tuple[int, ...]) -> Tensor:
    """uint8 [n, C, H, W] of arrays [H, W] or [H, W, C]."""
    stacked = torch.from_numpy(np.stack(arrays))  # type: ignore[arg-type]
    return stacked[:, None] if len(shape) == 2 else stacked.movedim(-1, -3)


@dataclass(frozen=True)
class _Tokenised(Readable):
    tokens: Tokens
    tokenizer: PreTrainedTokenizerFast
    endings: int

    @override
    def batch(self, places: Ints) -> Batch:
        from cascade_exp.data.tokenizing import padded

        several = self.endings
        rows = (places[:, None] * several + np.arange(several)).ravel().tolist()
        inputs = padded(self.tokens, rows, self.tokenizer)
        if several > 1:
            inputs = {key: value.view(len(places), several, -1) for key, value in inputs.items()}
        return inputs

    @override
    def lengths(self) -> Ints | None:
        return np.asarray(self.tokens.lengths.reshape(-1, self.endings).max(axis=1))


@dataclass(frozen=True, eq=False)
class TextReader(Reader):
    """Texts, pairs of texts (tuples), or questions (:class:`Choice`) of ``endings`` endings.

    Whether a model reads pairs is not saved with it: the first input that can be read says it.
    """

    tokenizer: PreTrainedTokenizerFast
    max_length: int
    endings: int

    @override
    def check(self, item: object) -> str | None:
        if self.endings > 1:
            if not isinstance(item, Choice):
                return f"found {type(item).__name__}, expected a question with endings"
            if len(item.endings) != self.endings:
                return f"{len(item.endings)} endings, expected {self.endings}"
            texts: tuple[object, ...] = (item.context, *item.endings)
        else:
            texts = _texts(item)
        if len(texts) > 2 and self.endings == 1:
            return f"{len(texts)} texts, expected one or two"
        for text in texts:
            if not isinstance(text, str):
                return f"found {'nothing' if text is None else repr(text)[:40]}, expected text"
            if not _encodable(text):
                return "text with half of a surrogate pair, which is no Unicode character"
        return None

    @override
    def read(self, items: Sequence[object]) -> tuple[Readable, list[str | None]]:
        from cascade_exp.data.tokenizing import tokenise

        reasons: list[str | None] = [self.check(item) for item in items]
        good = [item for item, reason in zip(items, reasons, strict=True) if reason is None]
        paired = bool(good) and self.endings == 1 and len(_texts(good[0])) == 2
        empty = self._empty(paired)
        rows = []
        for at, item in enumerate(items):
            row = _row(item) if reasons[at] is None else empty
            if isinstance(row, tuple) and (row[1] is not None) != paired:
                words = ("one text", "two texts")
                reasons[at] = f"{words[not paired]}, where those before it are {words[paired]}"
                row = empty
            rows.append(row)
        nothing = np.zeros(len(rows), dtype=np.int64)
        examples, _ = as_texts(Examples(nothing, nothing, rows))  # type: ignore[arg-type]
        tokens = tokenise(examples, self.tokenizer, self.max_length)
        return _Tokenised(tokens, self.tokenizer, self.endings), reasons

    def _empty(self, paired: bool) -> Text | Choice:
        return (
            Choice("", ("",) * self.endings) if self.endings > 1 else ("", "" if paired else None)
        )


def _texts(item: object) -> tuple[object, ...]:
    """The texts of an input: one, or two of a pair; a pair without its second is one."""
    if not isinstance(item, tuple):
        return (item,)
    return item[:1] if len(item) == 2 and item[1] is None else item


def _row(item: object) -> Text | Choice:
    if isinstance(item, Choice):
        return item
    first, *second = _texts(item)
    assert isinstance(first, str)
    return (first, str(second[0]) if second else None)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Readers:
    """Readers by what models want to be fed; models that read alike get the same one."""

    def __init__(self) -> None:
        self._images: dict[ImageInput, ImageReader] = {}
        self._texts: list[tuple[TextInput, TextReader]] = []

    def of(self, name: str, wanted: ImageInput | TextInput) -> Reader:
        """The reader for the model ``name``.

        Raises:
            CascadeError: if the model has no tokenizer of its own, or it cannot be loaded.
        """
        if isinstance(wanted, ImageInput):
            return self._images.setdefault(wanted, ImageReader(_transform(wanted)))
        from cascade_exp.data.tokenizing import load_tokenizer, tokenise_alike

        if wanted.tokenizer is None:
            raise CascadeError(f"{name}: has no tokenizer of its own, and cannot read texts")
        for other, reader in self._texts:
            same = (other.max_length, other.endings) == (wanted.max_length, wanted.endings)
            assert other.tokenizer is not None
            if same and tokenise_alike(other.tokenizer, wanted.tokenizer):
                return reader
        made = TextReader(load_tokenizer(wanted.tokenizer), wanted.max_length, wanted.endings)
        self._texts.append((wanted, made))
        return made


def _transform(wanted: ImageInput) -> ImageTransform:
    return ImageTransform(
        wanted.size,
        wanted.channels,
        wanted.mean,
        wanted.std,
        wanted.interpolation,  # type: ignore[arg-type]  # checked there
        wanted.crop_pct,
    )
