"""JPEG files decoded at a fraction of their size: detail that the resize would average away is left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms.resize import resampling

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]

_SCALES = (8, 4, 2)  # that libjpeg's inverse transform has
_OVERSAMPLING = 1.5
"""Pixels that the scaled crop has per pixel of the result: enough for the resize's own filter to decide.

Over photographs the mean difference from the exact result is 0.1 to 1 of 255 at 1.5 and 1.2 to 5 at 0.8.
"""


@dataclass(frozen=True, slots=True)
class ScaledCrop:
    """A crop of a scaled image.

    :param pixels: the crop, rounded outwards to whole pixels
    :param box: the crop within *pixels*: left, top, right, bottom, at fractions of a pixel
    """

    pixels: Image.Image
    box: Box


def decode_scaled(image: Image.Image, box: tuple[int, int, int, int], size: int) -> ScaledCrop | None:
    """Decode an opened image at the smallest scale that still has enough pixels for *size*.

    :param image: opened, not yet decoded
    :param box: the crop in pixels of the stored image: left, top, right, bottom
    :param size: side of the result in pixels
    :returns: None, and the image as it was, where no scale will do or the format knows none
    """
    scale = next((scale for scale in _SCALES if box[2] - box[0] >= _OVERSAMPLING * scale * size), 1)
    if scale == 1:
        return None
    width, height = image.size
    drafted = image.draft(None, (width // scale, height // scale))
    if drafted is None:
        return None
    factor = drafted[1][2] / width
    left, top, right, bottom = (factor * edge for edge in box)
    outer = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    inner = (left - outer[0], top - outer[1], right - outer[0], bottom - outer[1])
    return ScaledCrop(image.crop(outer), inner)


def resize_crop(pixels: Image.Image, box: Box, spec: ImagePreprocessSpec) -> Image.Image:
    """Resize the part of an RGB image that lies within *box*; by Pillow, which takes fractions of a pixel."""
    return pixels.resize((spec.size, spec.size), resampling(spec), box=box)
