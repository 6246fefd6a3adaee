"""From the Python values of data sets to payloads: the same value always gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.rows import encode_values, row_payload
from airflow_provider_aiopt.exceptions import AioptError, DecodeError, SpecError
from airflow_provider_aiopt.spec.source import SourceSpec

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_PNG_MODES = frozenset({"1", "I", "I;16", "L", "LA", "P", "RGB", "RGBA"})
_CHANNELS = (1, 3, 4)
_PNG_LEVEL = 1  # half the size of pixels at a fraction of the time that the default takes
_MATRIX, _IMAGE = 2, 3  # numbers of axes


def encode_record(value: Any, spec: SourceSpec) -> bytes:
    """Return the payload of one record of a data set.

    Bytes stay as they are and text becomes UTF-8.  Pillow's images, uint8 arrays of shape ``[height, width]``
    or ``[height, width, 1|3|4]`` and uint8 torch tensors of ``[1|3|4, height, width]`` become PNG, which
    loses nothing.  Of mappings, sequences and vectors ``source.columns`` takes some values, by key or by
    position: a single text, image or bytes as above, everything else as a JSON array.

    :raises SpecError: if ``source.columns`` does not fit what the records are
    :raises RecordError: if this one record cannot be encoded
    """
    try:
        fields = as_fields(value)
        _check_columns(fields, value, spec)
        if fields is None:
            return encode_values([_portable(value)], ["record"], spec)
        chosen = {name: _portable(fields[name]) for name in spec.columns if name in fields}
        return row_payload({**dict.fromkeys(fields), **chosen}, spec)
    except (AioptError, MemoryError):
        raise
    except Exception as error:  # an image is decoded only here, and a user's class may do anything
        raise DecodeError(f"The record cannot be encoded: {type(error).__name__}: {error}") from error


def as_fields(value: Any) -> Mapping[str, Any] | None:
    """Return the parts of a mapping, a sequence or a vector by their name; None for anything else."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, list | tuple) or getattr(value, "ndim", None) == 1:
        return {str(index): item for index, item in enumerate(value)}
    return None


def _check_columns(fields: Mapping[str, Any] | None, value: Any, spec: SourceSpec) -> None:
    kind = type(value).__name__
    if fields is None and spec.columns:
        raise SpecError(
            f"source.columns: {', '.join(spec.columns)}, but the records of {spec.uri} are of type {kind}, "
            "which has no columns. Remove source.columns, or yield mappings"
        )
    if fields is not None and not spec.columns:
        raise SpecError(
            f"source.columns: missing; the records of {spec.uri} are of type {kind} with "
            f"{', '.join(list(fields)[:20]) or 'nothing'}. Name the columns that make up a record"
        )


def _portable(value: Any) -> Any:
    """Return *value* as bytes, as text or as what JSON can say."""
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if value is None or isinstance(value, bytes | str | int | float):
        return value
    if _is_image(value):
        return _png(value)
    array = _as_array(value)
    return value if array is None else _portable_array(array)


def _is_image(value: Any) -> bool:
    from PIL import Image

    return isinstance(value, Image.Image)


def _as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return an array, or a tensor of torch or TensorFlow, with the channels last; None for anything else."""
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if not hasattr(value, "numpy"):
        return None
    if type(value).__module__.partition(".")[0] != "torch":
        return np.asarray(value.numpy())
    array = np.asarray(value.detach().cpu().numpy())
    return array.transpose(1, 2, 0) if array.ndim == _IMAGE else array


def _portable_array(array: np.ndarray[Any, Any]) -> Any:
    import numpy as np
    from PIL import Image

    if array.ndim == 0:
        return _portable(array.item())
    if array.ndim == 1:
        return array.tolist()
    channels = array.shape[2] if array.ndim == _IMAGE else 1
    if array.dtype != np.uint8 or array.ndim not in (_MATRIX, _IMAGE) or channels not in _CHANNELS:
        raise DecodeError(
            f"An array of {array.dtype} and shape {list(array.shape)} is no image; allowed are uint8 arrays "
            "of shape [height, width] or [height, width, 1|3|4], and torch tensors of [1|3|4, height, width]"
        )
    pixels = array[:, :, 0] if array.ndim == _IMAGE and channels == 1 else array
    return _png(Image.fromarray(np.ascontiguousarray(pixels)))


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    plain = image if image.mode in _PNG_MODES else image.convert("RGB")
    # The orientation travels with the pixels, so that a photo gives what its own file would.
    plain.save(stream, "PNG", compress_level=_PNG_LEVEL, exif=image.getexif())
    return stream.getvalue()
