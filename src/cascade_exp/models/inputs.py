"""What a model wants to be fed; data modules read it and prepare their examples accordingly.

How examples are resized, normalised or tokenised is the business of ``data/``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageInput:
    """A float tensor [B, channels, size, size], normalised per channel as ``(x - mean) / std``.

    Attributes:
        size: height and width in pixels.
        channels: number of channels.
        mean: one number per channel, on the scale where pixels lie in 0..1.
        std: one number per channel, on the same scale.
        interpolation: how to resize: ``bilinear``, ``bicubic``, ``nearest`` or another PIL name.
        crop_pct: share of the resized image that the centre crop keeps, in (0, 1].
    """

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop_pct: float = 1.0


@dataclass(frozen=True)
class TextInput:
    """A dict of token tensors, int64 [B, T], T at most ``max_length``, as the tokenizer returns.

    Of multiple-choice questions the tensors are [B, endings, T].

    Attributes:
        tokenizer: hub name or directory of the tokenizer; None when the data brings its own.
        max_length: longest sequence in tokens, special tokens included.
        endings: sequences of one example: of a question, its endings; 1 for texts.
    """

    tokenizer: str | None
    max_length: int
    endings: int = 1
