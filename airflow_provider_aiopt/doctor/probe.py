"""What a fresh process really loads when it imports the model runtimes.

``python -m airflow_provider_aiopt.doctor.probe MODULE...`` imports them, looks at what the kernel has mapped
into its memory, and prints a JSON object.  What it imports may crash: the doctor only reads what it says.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import DoctorError

MODULES = ("numpy", "PIL.Image", "pyarrow", "onnxruntime", "torch")
"""What the stages of a pipeline import, in the order in which they do."""

PROVIDERS = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "tensorrt"}
"""ONNX Runtime's providers that lie in libraries of their own, and what these are called."""

OPENMP = frozenset({"libgomp", "libomp", "libiomp5"})
"""The OpenMP runtimes: of GCC, of LLVM and of Intel."""

# libgomp-a34b3233.so.1.0.0: wheels put a digest between name and suffix.
_LIBRARY = re.compile(r"(?P<family>lib.+?)(-[0-9a-f]{6,})?\.so(\.(?P<version>[0-9][0-9.]*))?")
_TENTHS = 10
_EXCERPT = 2000


@dataclass(frozen=True, slots=True)
class Library:
    """A shared library in the process's memory.

    :param family: its name without digest, suffix and version, such as ``libcudnn``
    :param path: where it lies, symbolic links followed
    :param version: its own word for its version, else the one in its name; None for neither
    :param threads: of an OpenMP runtime, how many threads it would start
    """

    family: str
    path: str
    version: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a process loaded.

    :param versions: versions of the modules that could be imported
    :param errors: why the others could not
    :param libraries: the shared libraries
    :param onnxruntime: ``package``, ``cuda`` and ``providers`` of ONNX Runtime, and ``unloadable``: the
        loader's words about providers that it names but cannot load
    :param torch: ``cuda``, ``cudnn`` and ``devices`` of PyTorch
    """

    versions: Mapping[str, str]
    errors: Mapping[str, str]
    libraries: tuple[Library, ...]
    onnxruntime: Mapping[str, Any]
    torch: Mapping[str, Any]


def run_probe(
    modules: Sequence[str] = MODULES, *, environ: Mapping[str, str] | None = None, limit_s: float = 90.0
) -> Probe:
    """Start a process that imports *modules*, and return what it loaded.

    :param environ: its environment; default this process's own
    :param limit_s: seconds after which it is killed
    :raises DoctorError: if it dies, hangs or says nothing
    """
    command = [sys.executable, "-m", __name__, *modules]
    try:
        ended = subprocess.run(  # noqa: S603 - this interpreter and this module
            command, env=environ, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DoctorError(f"importing {', '.join(modules)} took longer than {limit_s:g} s") from error
    if ended.returncode:
        said = ended.stderr.strip()[-_EXCERPT:]
        raise DoctorError(f"importing {', '.join(modules)} ended the process with {ended.returncode}: {said}")
    answer = json.loads(ended.stdout)
    libraries = tuple(Library(**item) for item in answer.pop("libraries"))
    return Probe(libraries=libraries, **answer)


def mapped_libraries(lines: Iterable[str]) -> list[str]:
    """Return the paths of the shared libraries in the lines of ``/proc/PID/maps``, each once."""
    paths = (line.split(maxsplit=5)[5].strip() for line in lines if line.count("/"))
    return list(dict.fromkeys(path for path in paths if _LIBRARY.fullmatch(Path(path).name)))


def identify(path: str) -> Library:
    """Return what the name of a library says."""
    resolved = str(Path(path).resolve())
    match = _LIBRARY.fullmatch(Path(path).name)
    deep = _LIBRARY.fullmatch(Path(resolved).name)
    family = match["family"] if match else Path(path).name
    return Library(family, resolved, (deep or match or {"version": None})["version"])


def _load(path: str) -> Any:
    return ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)


def _ask(library: Library) -> Library:
    """Return a loaded library with what it says of itself."""
    asked: dict[str, Callable[[Any], str]] = {
        "libcudnn": lambda it: _dotted(it.cudnnGetVersion(), 10_000),
        "libcudart": _cuda,
        "libnvinfer": lambda it: _dotted(it.getInferLibVersion(), 10_000),
    }
    with suppress(OSError, AttributeError):  # then its name's word is all there is
        if library.family in asked:
            return replace(library, version=asked[library.family](_load(library.path)))
        if library.family in OPENMP:
            return replace(library, threads=int(_load(library.path).omp_get_max_threads()))
    return library


def _dotted(number: int, major: int) -> str:
    """Return a version as NVIDIA packs it: ``90200`` is 9.2.0."""
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _cuda(library: Any) -> str:
    version = ctypes.c_int()
    if library.cudaRuntimeGetVersion(ctypes.byref(version)):
        raise AttributeError("cudaRuntimeGetVersion")
    return f"{version.value // 1000}.{version.value % 1000 // _TENTHS}"


def _unloadable(package: Path, providers: Iterable[str]) -> dict[str, str]:
    """Try to load the providers' libraries as ONNX Runtime would, and return the loader's complaints."""
    found = {}
    folder = package / "capi"
    shared = folder / "libonnxruntime_providers_shared.so"
    for provider in providers:
        library = folder / f"libonnxruntime_providers_{PROVIDERS.get(provider)}.so"
        if provider in PROVIDERS and library.exists():
            try:
                ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
                ctypes.CDLL(str(library))
            except OSError as error:
                found[provider] = str(error)
    return found


def _onnxruntime(module: Any) -> dict[str, Any]:
    info = importlib.import_module("onnxruntime.capi.build_and_package_info")
    providers = list(module.get_available_providers())
    if any(provider in PROVIDERS for provider in providers):
        if hasattr(module, "preload_dlls"):
            module.preload_dlls()  # as this package's own runtime does before it opens a session
        with suppress(ImportError):
            importlib.import_module("tensorrt")  # brings TensorRT's libraries where pip installed them
    return {
        "package": getattr(info, "package_name", "onnxruntime"),
        "cuda": getattr(info, "cuda_version", None) or None,
        "providers": providers,
        "unloadable": _unloadable(Path(module.__file__).parent, providers),
    }


def _torch(module: Any) -> dict[str, Any]:
    cuda = module.version.cuda
    cudnn = module.backends.cudnn.version() if cuda else None
    return {
        "cuda": cuda,
        "cudnn": _dotted(cudnn, 10_000) if cudnn else None,
        "devices": module.cuda.device_count() if cuda else 0,
    }


_DETAILS: Mapping[str, Callable[[Any], dict[str, Any]]] = {"onnxruntime": _onnxruntime, "torch": _torch}


def look(modules: Sequence[str]) -> dict[str, Any]:
    """Import modules and return what :class:`Probe` holds, as JSON has it."""
    versions: dict[str, str] = {}
    errors: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {"onnxruntime": {}, "torch": {}}
    for name in modules:
        root = name.partition(".")[0]
        try:
            module = importlib.import_module(name)
            versions[root] = str(getattr(importlib.import_module(root), "__version__", "unknown"))
            # At once: what is imported later may bring libraries that a pipeline would not have.
            details |= {name: _DETAILS[name](module)} if name in _DETAILS else {}
        except Exception as error:  # noqa: BLE001 - a package that is broken may raise anything
            if not isinstance(error, ModuleNotFoundError) or error.name != root:
                errors[name] = f"{type(error).__name__}: {error}"
    with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as maps:
        paths = mapped_libraries(maps)
    libraries = {library.path: library for library in map(identify, paths)}
    told = [asdict(_ask(library)) for library in libraries.values()]
    return {"versions": versions, "errors": errors, "libraries": told, **details}


def main() -> None:
    """Print what was loaded."""
    with redirect_stdout(sys.stderr):  # what is imported may print
        answer = look(sys.argv[1:])
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # a runtime that crashes while it is torn down has loaded all the same


if __name__ == "__main__":
    main()
