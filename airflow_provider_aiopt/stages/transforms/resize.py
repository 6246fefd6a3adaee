"""Resizing of cropped images, by Pillow or by PyTorch: the same filters at the same places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def import_backend(spec: ImagePreprocessSpec) -> None:
    """Import what :func:`resize` needs, so that the first image does not wait for it.

    :raises MissingExtraError: if it is not installed
    """
    if spec.resize_backend == "torch":
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("torch", "torch", "preprocess.resize_backend 'torch'") from error


def resize(image: Image.Image, spec: ImagePreprocessSpec) -> np.ndarray[Any, Any]:
    """Resize an RGB image to uint8 of shape ``[size, size, 3]``, antialiased unless ``nearest``."""
    import numpy as np

    if spec.resize_backend == "torch":
        return _with_torch(image, spec)
    return np.asarray(image.resize((spec.size, spec.size), resampling(spec)))


def resampling(spec: ImagePreprocessSpec) -> Image.Resampling:
    """Return Pillow's name of the filter."""
    from PIL import Image

    return Image.Resampling[spec.interpolation.upper()]


def _with_torch(image: Image.Image, spec: ImagePreprocessSpec) -> np.ndarray[Any, Any]:
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    if torch.get_num_threads() != 1:  # counted for each thread; images side by side fill the cores already
        torch.set_num_threads(1)
    # In this order PyTorch sees that channels come last, and answers so: else it answers planes.
    pixels = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    resized = interpolate(pixels, size=(spec.size, spec.size), mode=spec.interpolation, antialias=True)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy()[0])
