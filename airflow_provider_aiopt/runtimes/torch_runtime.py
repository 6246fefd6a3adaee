"""PyTorch on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import (
    DeviceOutOfMemoryError,
    DeviceUnavailableError,
    MissingExtraError,
)
from airflow_provider_aiopt.runtimes.base import Normalisation, TensorInfo
from airflow_provider_aiopt.runtimes.failures import run_error
from airflow_provider_aiopt.runtimes.torch_files import TorchModel, name_outputs, open_torch_file
from airflow_provider_aiopt.runtimes.torch_pixels import TorchPixels
from airflow_provider_aiopt.spec.model import TorchSpec

if TYPE_CHECKING:
    import numpy as np

_IMAGE_AXES = 4


class TorchRuntime:
    """An exported program or a TorchScript module on the device that was asked for.

    :param file: the model file
    :param device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a device and else the CPU
    :param threads: threads of one call on the CPU; default one for each core that the process may use
    :param options: how PyTorch runs it
    :param normalisation: what the model wants done to uint8 images, which a device does itself
    :raises MissingExtraError: if PyTorch is not installed
    :raises ModelLoadError: if it cannot load the file
    :raises DeviceUnavailableError: if *device* is ``cuda`` and there is none
    """

    def __init__(
        self,
        file: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        options: TorchSpec | None = None,
        normalisation: Normalisation | None = None,
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("torch", "torch", "Running a PyTorch model") from error
        self._torch = torch
        self._options = options or TorchSpec()
        self._threads = threads or usable_cores()
        self._device, self.fallback = choose_device(torch, device)
        self._model = open_torch_file(file, device=self._device, input_dtype=self._options.input_dtype)
        self._module = _prepared(torch, self._model, self._options)
        self.normalisation = None if normalisation is None else "host"
        self._pixels: TorchPixels | None = None
        if normalisation is not None and self.on_device:
            self._take_pixels(normalisation)

    def _take_pixels(self, normalisation: Normalisation) -> None:
        try:
            self._pixels = TorchPixels(self._torch, normalisation, self._model.inputs, self._device)
            self.normalisation = "device"
        except ValueError as error:
            self.normalisation = f"host: {error}"

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What :meth:`run` takes; TorchScript's inputs have names, but no shapes."""
        return self._model.inputs if self._pixels is None else (self._pixels.input,)

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs; empty for TorchScript, whose files do not name them."""
        return self._model.outputs

    @property
    def description(self) -> str:
        """PyTorch's version, the device and what was made of the model."""
        options = self._options
        extras = [
            *([f"autocast {options.autocast}"] if options.autocast else []),
            *(["channels last"] if options.channels_last else []),
            *(["compiled"] if options.compile else []),
        ]
        return ", ".join([f"torch {self._torch.__version__} {self._device}", *extras])

    @property
    def on_device(self) -> bool:
        """Whether the model runs on CUDA."""
        return self._device != "cpu"

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see :meth:`ModelRuntime.run`."""
        torch, options = self._torch, self._options
        wanted = {info.name: feeds[info.name] for info in self.inputs}
        if torch.get_num_threads() != self._threads:  # PyTorch counts them for each calling thread
            torch.set_num_threads(self._threads)
        try:
            with ExitStack() as stack:
                stack.enter_context(torch.inference_mode())
                if options.autocast:
                    dtype = getattr(torch, options.autocast)
                    stack.enter_context(torch.autocast(self._device, dtype=dtype))
                tensors = {name: self._tensor(value) for name, value in wanted.items()}
                args, kwargs = self._model.arguments(tensors)
                answer = name_outputs(
                    [info.name for info in self._model.outputs], self._module(*args, **kwargs)
                )
                return {name: self._array(value) for name, value in answer.items()}
        except Exception as error:  # PyTorch raises anything from AssertionError to its own classes
            mapped = run_error("PyTorch", error, wanted)
            if self.on_device and isinstance(mapped, DeviceOutOfMemoryError):
                torch.cuda.empty_cache()  # what is cached in pieces may hold a smaller batch
            raise mapped from error

    def _tensor(self, value: np.ndarray[Any, Any]) -> Any:
        import numpy as np

        # What Arrow holds may not be written to, which PyTorch has no notion of.
        tensor = self._torch.from_numpy(np.require(value, requirements=["C", "W"]))
        if self.on_device:
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        if self._pixels is not None:
            tensor = self._pixels.normalise(tensor)
        if self._options.channels_last and tensor.ndim == _IMAGE_AXES:
            tensor = tensor.contiguous(memory_format=self._torch.channels_last)
        return tensor

    def _array(self, value: Any) -> Any:
        torch = self._torch
        if not isinstance(value, torch.Tensor):
            return value
        return (value.float() if value.dtype == torch.bfloat16 else value).cpu().numpy()


def choose_device(torch: Any, asked: str) -> tuple[str, str | None]:
    """Return the device to use, and why it is not CUDA where *asked* is ``auto``.

    :param torch: the module
    :param asked: ``auto``, ``cpu`` or ``cuda``
    :raises DeviceUnavailableError: if CUDA is asked for and cannot be used
    """
    if asked == "cpu":
        return "cpu", None
    if torch.cuda.is_available():
        return "cuda", None
    built = torch.version.cuda
    reason = (
        f"PyTorch {torch.__version__} is built for CUDA {built} but finds no device that it can use"
        if built
        else f"PyTorch {torch.__version__} is built without CUDA"
    )
    if asked == "cuda":
        raise DeviceUnavailableError(
            f"model.device is 'cuda', but {reason}. Check the driver with nvidia-smi, install a torch of the "
            "driver's CUDA version, or set model.device to 'auto' or 'cpu'"
        )
    return "cpu", reason


def _prepared(torch: Any, model: TorchModel, options: TorchSpec) -> Any:
    module = model.module
    if options.channels_last:
        module = module.to(memory_format=torch.channels_last)
    return torch.compile(module) if options.compile else module
