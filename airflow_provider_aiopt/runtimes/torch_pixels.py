"""Normalising uint8 pixels with PyTorch, on the device that they were copied to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_aiopt.runtimes.base import Normalisation, TensorInfo

_IMAGE_AXES = 4


class TorchPixels:
    """What stands before a model of normalised images so that it takes uint8 pixels.

    :param torch: the module
    :param normalisation: what to do
    :param inputs: the model's inputs
    :param device: where the pixels will be
    :raises ValueError: if the model is not one of float32 or float16 images; the message says why
    """

    def __init__(
        self, torch: Any, normalisation: Normalisation, inputs: Sequence[TensorInfo], device: str
    ) -> None:
        if len(inputs) != 1:
            raise ValueError(f"the model has {len(inputs)} inputs")
        (info,) = inputs
        wrong_shape = info.shape is not None and len(info.shape) != _IMAGE_AXES
        if wrong_shape or info.dtype not in {"float32", "float16"}:
            raise ValueError(f"its input {info.name} is not made of float32 or float16 images")
        self._first = normalisation.layout == "nchw"
        self._dtype = getattr(torch, info.dtype)
        self._float = torch.float32
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=device)
            for values in (normalisation.mean, normalisation.std)
        )
        self.input = TensorInfo(info.name, "uint8", self._shape(info), pixels=True)

    def _shape(self, info: TensorInfo) -> tuple[int | None, ...] | None:
        if info.shape is None:
            return None
        batch, *rest = info.shape
        height, width = rest[1:] if self._first else rest[:2]
        return (batch, height, width, 3)

    def normalise(self, pixels: Any) -> Any:
        """Return the model's input for uint8 *pixels* ``[batch, height, width, 3]`` on the device."""
        values = pixels.to(self._float).sub_(self._mean).div_(self._std)
        if self._first:
            values = values.permute(0, 3, 1, 2).contiguous()
        return values.to(self._dtype)
