"""Loading models once for the life of a process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.runtimes.base import ModelRuntime, Normalisation
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest
from airflow_provider_aiopt.runtimes.torch_runtime import TorchRuntime
from airflow_provider_aiopt.spec.model import ModelSpec, TorchSpec

_Key = tuple[str, str, str, int | None, TorchSpec, tuple[int, ...], Normalisation | None]

_loaded: dict[_Key, ModelRuntime] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run.

    :param files: its files
    :param runtime: the runtime that holds it
    """

    files: ModelFiles
    runtime: ModelRuntime


def load_model(
    spec: ModelSpec,
    *,
    resolver: FileSystemResolver = resolve_filesystem,
    batch_sizes: tuple[int, ...] = (),
    normalisation: Normalisation | None = None,
) -> LoadedModel:
    """Return the model that *spec* names, loading it unless this process has it already.

    :param batch_sizes: rows that calls will have, ascending, for devices that build an engine for them
    :param normalisation: what the model wants done to uint8 images, which a device does itself where it can;
        None for models of other things
    :raises ModelError: one of its subclasses, for each thing that can be wrong
    :raises MissingExtraError: if the runtime is not installed
    """
    files = find_model(spec, resolver=resolver)
    batch_sizes = batch_sizes if spec.device == "tensorrt" else ()
    key = (files.sha256, spec.runtime, spec.device, spec.threads, spec.torch, batch_sizes, normalisation)
    with _lock:
        runtime = _loaded.get(key)
        if runtime is None:
            runtime = _loaded[key] = _open(spec, files, batch_sizes, normalisation)
        elif isinstance(runtime, OnnxRuntime):
            runtime.file = files.file  # where it was loaded from may be gone by the time it is opened again
    return LoadedModel(files=files, runtime=runtime)


def _open(
    spec: ModelSpec, files: ModelFiles, batch_sizes: tuple[int, ...], normalisation: Normalisation | None
) -> ModelRuntime:
    if spec.runtime == "torch":
        return TorchRuntime(
            files.file,
            device=spec.device,
            threads=spec.threads,
            options=spec.torch,
            normalisation=normalisation,
        )
    return OnnxRuntime(
        files.file,
        device=spec.device,
        threads=spec.threads,
        engines=EngineRequest(files.sha256, batch_sizes),
        normalisation=normalisation,
    )
