"""Loading models once for the life of a process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.runtimes.base import ModelRuntime
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest
from airflow_provider_aiopt.runtimes.torch_runtime import TorchRuntime
from airflow_provider_aiopt.spec.model import ModelSpec, TorchSpec

_loaded: dict[tuple[str, str, str, int | None, TorchSpec, tuple[int, ...]], ModelRuntime] = {}
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
    spec: ModelSpec, *, resolver: FileSystemResolver = resolve_filesystem, batch_sizes: tuple[int, ...] = ()
) -> LoadedModel:
    """Return the model that *spec* names, loading it unless this process has it already.

    :param batch_sizes: rows that calls will have, ascending, for devices that build an engine for them
    :raises ModelError: one of its subclasses, for each thing that can be wrong
    :raises MissingExtraError: if the runtime is not installed
    """
    files = find_model(spec, resolver=resolver)
    batch_sizes = batch_sizes if spec.device == "tensorrt" else ()
    key = (files.sha256, spec.runtime, spec.device, spec.threads, spec.torch, batch_sizes)
    with _lock:
        runtime = _loaded.get(key)
        if runtime is None:
            runtime = _loaded[key] = _open(spec, files, batch_sizes)
    return LoadedModel(files=files, runtime=runtime)


def _open(spec: ModelSpec, files: ModelFiles, batch_sizes: tuple[int, ...]) -> ModelRuntime:
    if spec.runtime == "torch":
        return TorchRuntime(files.file, device=spec.device, threads=spec.threads, options=spec.torch)
    engines = EngineRequest(files.sha256, batch_sizes)
    return OnnxRuntime(files.file, device=spec.device, threads=spec.threads, engines=engines)
