"""Loading models once for the life of a process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.runtimes.base import ModelRuntime
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime
from airflow_provider_aiopt.spec.model import ModelSpec

_loaded: dict[tuple[str, str, str, int | None], ModelRuntime] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run.

    :param files: its files
    :param runtime: the runtime that holds it
    """

    files: ModelFiles
    runtime: ModelRuntime


def load_model(spec: ModelSpec, *, resolver: FileSystemResolver = resolve_filesystem) -> LoadedModel:
    """Return the model that *spec* names, loading it unless this process has it already.

    :raises ModelError: one of its subclasses, for each thing that can be wrong
    :raises MissingExtraError: if the runtime is not installed
    """
    files = find_model(spec, resolver=resolver)
    key = (files.sha256, spec.runtime, spec.device, spec.threads)
    with _lock:
        runtime = _loaded.get(key)
        if runtime is None:
            runtime = _loaded[key] = OnnxRuntime(files.file, device=spec.device, threads=spec.threads)
    return LoadedModel(files=files, runtime=runtime)
