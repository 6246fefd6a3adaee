"""What every model runtime offers, and the check of tensors against a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_aiopt.exceptions import ModelInputError

if TYPE_CHECKING:
    import numpy as np

    Tensors = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a model of images wants done to uint8 pixels ``[batch, height, width, 3]``.

    Each channel becomes ``(pixel - mean) / std`` in float32, then the axes are put in order.

    :param mean: per channel, on the scale 0 to 255
    :param std: per channel, on the same scale
    :param layout: order of the axes that the model takes
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: Literal["nchw", "nhwc"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, type and shape of a model's input or output.

    :param name: its name
    :param dtype: numpy's name of its element type
    :param shape: its axes; None where an axis may have any length, and for all of it where the file does not
        say
    :param pixels: whether it takes uint8 pixels ``[batch, height, width, 3]`` as they were prepared, which
        the runtime normalises and lays out itself
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    pixels: bool = False

    def __str__(self) -> str:
        """Return for example ``image float32 [?, 3, 224, 224]``."""
        if self.shape is None:
            return f"{self.name} {self.dtype} [...]"
        axes = ", ".join("?" if axis is None else str(axis) for axis in self.shape)
        return f"{self.name} {self.dtype} [{axes}]"


class ModelRuntime(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""
        ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        ...

    @property
    def description(self) -> str:
        """The runtime and the device that really loaded."""
        ...

    @property
    def on_device(self) -> bool:
        """Whether the model runs on a device of its own, so that the cores are free meanwhile."""
        ...

    @property
    def fallback(self) -> str | None:
        """Why ``device: auto`` took no GPU; None where it did, or where the device was asked for."""
        ...

    @property
    def normalisation(self) -> str | None:
        """Where images are normalised: ``device``, ``host``, or ``host: REASON`` where a device could not.

        None where the runtime was told of no normalisation.
        """
        ...

    def run(self, feeds: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch.

        :param feeds: a tensor for each input, the first axis being the batch
        :returns: a tensor for each output by name
        :raises DeviceOutOfMemoryError: if the device's memory does not hold it
        :raises ModelRunError: if the model fails on it otherwise
        """
        ...


def numpy_dtype(info: TensorInfo) -> np.dtype[Any]:
    """Return the element type to make an input's tensor with.

    :raises ModelInputError: if the model takes a type that numpy has not, such as strings or bfloat16
    """
    import numpy as np

    try:
        return np.dtype(info.dtype)
    except TypeError as error:
        raise ModelInputError(
            f"The model takes {info}, a type that no preprocess.kind makes. Export the model with a numeric "
            "input"
        ) from error


def check_feeds(inputs: Sequence[TensorInfo], feeds: Tensors) -> None:
    """Check that prepared tensors fit a model, before it is run on them.

    :raises ModelInputError: naming what the model takes and what preprocessing made
    """
    missing = [info.name for info in inputs if info.name not in feeds]
    if missing:
        raise ModelInputError(
            f"The model takes {'; '.join(map(str, inputs))}, but preprocessing makes "
            f"{', '.join(feeds) or 'nothing'}: no tensor for {', '.join(missing)}. "
            "Choose the preprocess.kind that belongs to the model"
        )
    for info in inputs:
        value = feeds[info.name]
        if not _fits(info.shape, value.shape) or value.dtype.name != info.dtype:
            made = TensorInfo(info.name, value.dtype.name, tuple(value.shape))
            raise ModelInputError(
                f"The model takes {info}, but preprocessing makes {made}. Set preprocess.size, layout or "
                "max_length, or execution.batch_size, to what the model takes"
            )


def _fits(expected: Sequence[int | None] | None, actual: Sequence[int]) -> bool:
    if expected is None:
        return True
    return len(expected) == len(actual) and all(
        want is None or want == have for want, have in zip(expected, actual, strict=True)
    )
