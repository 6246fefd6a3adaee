"""Images: decode, orient, crop, resize; normalise when the batch is built."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import DecodeError, RecordError, RecordTooLargeError
from airflow_provider_aiopt.runtimes.base import TensorInfo, numpy_dtype
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms.resize import import_backend, resize
from airflow_provider_aiopt.stages.transforms.scaled import decode_scaled, resize_crop

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from PIL import Image

TENSOR = "tensor"
_ORIENTATION_TAG = 0x0112
_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class ImageTransform:
    """Prepares uint8 tensors of shape ``[size, size, 3]``, RGB.

    The crop is centred and square, its side ``int(crop_fraction * min(width, height))`` pixels, the resize
    Pillow's with antialiasing: what the reference preprocessing of EfficientNet does.

    :param spec: the settings
    """

    def __init__(self, spec: ImagePreprocessSpec) -> None:
        self._spec = spec

    @property
    def version(self) -> str:
        """See :attr:`Transform.version`; decoders differ in the last bit from release to release."""
        import PIL
        from PIL import features

        made = f"image 1, Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
        backend = self._spec.resize_backend
        return made if backend == "pillow" else f"{made}, {backend} {version(backend)}"

    def prepare(
        self, payloads: Sequence[bytes], executor: Executor
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Decode in the executor's threads; see :meth:`Transform.prepare`.

        :raises MissingExtraError: if the spec's ``resize_backend`` is not installed
        """
        import numpy as np

        import_backend(self._spec)  # here, where no record's time limit runs
        outcomes = list(executor.map(self._attempt, payloads))
        errors = {
            index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, RecordError)
        }
        tensors = [outcome for outcome in outcomes if not isinstance(outcome, RecordError)]
        size = self._spec.size
        stacked = np.stack(tensors) if tensors else np.empty((0, size, size, 3), np.uint8)
        return {TENSOR: tensor_array(stacked)}, errors

    def feeds(
        self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]
    ) -> Mapping[str, np.ndarray[Any, Any]]:
        """Normalise and lay out the axes; a model that takes uint8 gets the pixels as they are."""
        import numpy as np

        pixels, info = array_tensor(batch.column(TENSOR)), inputs[0]
        if info.pixels:  # the runtime does the rest
            return {info.name: pixels}
        if self._spec.layout == "nchw":
            pixels = pixels.transpose(0, 3, 1, 2)
        dtype = numpy_dtype(info)
        if dtype == np.uint8:
            return {info.name: np.ascontiguousarray(pixels)}
        # One conversion into the final layout, then in place: a seventh of the time of the plain expression.
        values = np.empty(pixels.shape, np.float32)
        np.copyto(values, pixels)
        values -= self._per_channel(self._spec.mean)
        values /= self._per_channel(self._spec.std)
        return {info.name: values.astype(dtype, copy=False)}

    def _per_channel(self, numbers: Sequence[float]) -> np.ndarray[Any, Any]:
        import numpy as np

        values = np.asarray(numbers, np.float32)
        return values[:, None, None] if self._spec.layout == "nchw" else values

    def _attempt(self, payload: bytes) -> np.ndarray[Any, Any] | RecordError:
        try:
            return decode_image(payload, self._spec)
        except RecordError as error:
            return error


def decode_image(payload: bytes, spec: ImagePreprocessSpec) -> np.ndarray[Any, Any]:
    """Decode one image to uint8 RGB of shape ``[size, size, 3]``.

    Takes every format that Pillow reads.  The EXIF orientation is applied; of an animation the first frame is
    taken; alpha is dropped, 16-bit grey is scaled to 8 bits, other colour spaces are converted.

    :raises RecordTooLargeError: if the image declares more than ``max_pixels``
    :raises DecodeError: if the bytes are no whole image
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(payload)) as image:
            _check_pixels(image, spec.max_pixels)
            stored = _centre_box(image.width, image.height, spec.crop_fraction)
            if spec.scaled_decode and (scaled := decode_scaled(image, stored, spec.size)):
                return np.asarray(_upright(resize_crop(_rgb(scaled.pixels), scaled.box, spec)))
            upright = _upright(image)
            cropped = upright.crop(_centre_box(upright.width, upright.height, spec.crop_fraction))
            return resize(_rgb(cropped), spec)
    except (RecordError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RecordTooLargeError(
            f"The image declares too many pixels: {error} preprocess.max_pixels allows {spec.max_pixels}"
        ) from error
    except UnidentifiedImageError as error:
        raise DecodeError(
            f"The {len(payload)} bytes are no image of a known format; they begin with {payload[:16]!r}"
        ) from error
    except Exception as error:  # decoders raise anything on hostile bytes; each is one bad record
        raise DecodeError(f"The image cannot be decoded: {str(error) or type(error).__name__}") from error


def _check_pixels(image: Image.Image, allowed: int) -> None:
    if image.width * image.height > allowed:
        raise RecordTooLargeError(
            f"The image declares {image.width}x{image.height} pixels; preprocess.max_pixels allows {allowed}"
        )


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    image.load()
    return ImageOps.exif_transpose(image) if _ORIENTATION_TAG in image.getexif() else image


def _centre_box(width: int, height: int, fraction: float) -> tuple[int, int, int, int]:
    side = max(1, int(fraction * min(width, height)))
    left, top = (width - side + 1) // 2, (height - side + 1) // 2
    return left, top, left + side, top + side


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":  # converting would copy it; a transparent colour is dropped with its name
        return image
    if image.mode in _SIXTEEN_BIT_MODES:
        return _eight_bit(image).convert("RGB")
    if image.mode in ("P", "PA", "LA") or "transparency" in image.info:
        # Straight to RGB, Pillow would warn of palette transparency; the colours are the same.
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion would clip instead."""
    import numpy as np
    from PIL import Image

    values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return Image.fromarray((values // 257).astype(np.uint8))
