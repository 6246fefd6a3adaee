"""How a record becomes the tensors that a model takes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from airflow_provider_aiopt.spec.base import SpecModel

PositiveFloat = Annotated[float, Field(gt=0)]
Channels = tuple[float, float, float]


class ImagePreprocessSpec(SpecModel):
    """Decode, centre-crop, resize; normalise as ``(pixel - mean) / std`` when the batch is built.

    Records between the stages stay uint8, a quarter of the bytes of float32.

    :param kind: ``image``
    :param size: side of the square that the model takes, in pixels
    :param crop_fraction: side of the centred square that is kept, over the image's shorter side
    :param interpolation: filter of the resize
    :param mean: value subtracted per RGB channel, on the scale 0 to 255
    :param std: value divided by per RGB channel, on the same scale
    :param layout: order of the batch's axes: ``nchw`` or ``nhwc``
    :param max_pixels: an image that declares more is quarantined before it is decoded; at most what Pillow
        itself decodes
    :param resize_backend: what resizes; ``torch`` takes less CPU time than ``pillow`` on processors with
        AVX2 and knows only bicubic and bilinear.  Pillow decodes in either case
    :param scaled_decode: whether a JPEG file whose crop is at least three times as large as ``size`` is
        decoded at a half, a quarter or an eighth of its size.  ``aiopt preprocess compare`` tells what either
        of the two changes
    """

    kind: Literal["image"] = "image"
    size: int = Field(default=224, ge=1, le=8192)
    crop_fraction: float = Field(default=0.875, gt=0, le=1)
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest"] = "bicubic"
    mean: Channels = (0.0, 0.0, 0.0)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (255.0, 255.0, 255.0)
    layout: Literal["nchw", "nhwc"] = "nchw"
    max_pixels: int = Field(default=89_478_485, ge=1, le=178_956_970)
    resize_backend: Literal["pillow", "torch"] = "pillow"
    scaled_decode: bool = False

    @model_validator(mode="after")
    def _interpolation_is_to_be_had(self) -> Self:
        if self.resize_backend == "torch" and self.interpolation not in ("bicubic", "bilinear"):
            raise ValueError(
                f"resize_backend 'torch' knows the interpolations bicubic and bilinear, not "
                f"{self.interpolation}. Use one of these, or resize_backend 'pillow'"
            )
        if self.scaled_decode and self.interpolation == "nearest":
            raise ValueError(
                "interpolation 'nearest' takes pixels as they are, but scaled_decode averages them. Use "
                "another interpolation, or scaled_decode false"
            )
        return self


class TextPreprocessSpec(SpecModel):
    """Tokenise with a Hugging Face ``tokenizer.json``; batches are padded to their longest text.

    :param kind: ``text``
    :param tokenizer: path of the file, relative to the model's folder
    :param max_length: longer texts are truncated to this many tokens
    """

    kind: Literal["text"] = "text"
    tokenizer: str = "tokenizer.json"
    max_length: int = Field(default=256, ge=1)


class TabularPreprocessSpec(SpecModel):
    """Take the source's columns as one float32 vector, normalised as ``(value - mean) / std``.

    :param kind: ``tabular``
    :param mean: value subtracted per column; empty means 0
    :param std: value divided by per column; empty means 1
    """

    kind: Literal["tabular"] = "tabular"
    mean: tuple[float, ...] = ()
    std: tuple[PositiveFloat, ...] = ()

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if self.mean and self.std and len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} values and std {len(self.std)}; give one per column")
        return self


class CustomPreprocessSpec(SpecModel):
    """Prepare records with a transform of the deployment's own.

    :param kind: ``custom``
    :param transform: dotted path of a callable that returns the transform, such as
        ``my_package.transforms.Spectrogram``; only under the prefixes that the deployment allows
    :param arguments: keyword arguments of the callable
    :param store_as: element type that wider columns of numbers are kept as between the stages: float64 takes
        eight times the bytes of the uint8 that its values may fit.  An integer type must hold every value
        exactly, or the task fails; float32 rounds
    :param processes: whether to prepare in processes rather than threads: for code that holds the interpreter
        lock, that may crash, or that only a kill can stop
    """

    kind: Literal["custom"] = "custom"
    transform: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    processes: bool = False
    store_as: Literal["uint8", "int16", "int32", "float32"] | None = None


PreprocessSpec = Annotated[
    ImagePreprocessSpec | TextPreprocessSpec | TabularPreprocessSpec | CustomPreprocessSpec,
    Field(discriminator="kind"),
]
"""Any of the kinds, told apart by ``kind``."""
