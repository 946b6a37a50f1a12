"""From a picture to what a network is fed: resized, cropped, normalised, on uint8 until the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from cascade_exp.errors import CascadeError, choice

Interpolation = Literal["nearest", "bilinear", "bicubic"]

GREY_MODES = ("1", "L", "LA")


@dataclass(frozen=True)
class ImageTransform:
    """The shorter side is resized to ``size / crop_pct`` (antialiased) and the centre cropped.

    Grey becomes colour by repetition, colour grey by luminance.

    Attributes:
        size: height and width in pixels.
        channels: 1 or 3.
        mean: per channel, or one for all, of values in 0..1.
        std: as ``mean``.
        interpolation: of the resizing.
        crop_pct: share of the resized image's side that the crop keeps, in (0, 1].

    Raises:
        CascadeError: if a value is out of its range.
    """

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation
    crop_pct: float = 1.0

    def __post_init__(self) -> None:
        choice(self.interpolation, ("nearest", "bilinear", "bicubic"), "interpolation")
        if self.size < 1:
            raise CascadeError(f"image size {self.size}: expected at least 1 pixel")
        if self.channels not in (1, 3):
            raise CascadeError(f"{self.channels} image channels: expected 1 (grey) or 3 (colour)")
        if not 0 < self.crop_pct <= 1:
            raise CascadeError(f"crop_pct={self.crop_pct}: expected a share in (0, 1]")
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise CascadeError(f"{key}: {len(values)} values for {self.channels} channels")
        if any(value <= 0 for value in self.std):
            raise CascadeError(f"std={list(self.std)}: expected values above 0")

    def resize(self, images: Tensor) -> Tensor:
        """uint8 [..., C, H, W] -> uint8 [..., channels, size, size]."""
        if images.shape[-3] != self.channels:
            images = (
                transforms.rgb_to_grayscale(images)
                if self.channels == 1
                else images.expand(*images.shape[:-3], 3, *images.shape[-2:])
            )
        shorter = math.floor(self.size / self.crop_pct)
        if min(images.shape[-2:]) != shorter:
            images = transforms.resize(
                images, [shorter], InterpolationMode(self.interpolation), antialias=True
            )
        if images.shape[-2:] != (self.size, self.size):
            images = transforms.center_crop(images, [self.size, self.size])
        return images

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 [B, C, H, W] -> float32, scaled to 0..1, then (x - mean) / std per channel."""
        scaled = transforms.to_dtype(images, torch.float32, scale=True)
        normalised: Tensor = transforms.normalize(scaled, list(self.mean), list(self.std))
        return normalised

    def pixels(self, image: Image.Image) -> Tensor:
        """An opened picture as uint8 [channels, size, size].

        A grey picture stays grey for a network that reads grey: by way of colour its values would
        be rounded down.
        """
        grey = self.channels == 1 and image.mode in GREY_MODES
        found = transforms.pil_to_tensor(image.convert("L" if grey else "RGB"))
        return self.resize(found)

    def open(self, path: Path) -> Tensor:
        """The picture in a file as uint8 [channels, size, size].

        Raises:
            CascadeError: if the file cannot be decoded.
        """
        try:
            with Image.open(path) as image:
                return self.pixels(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise CascadeError(f"{path}: not an image that can be read: {error}") from error
