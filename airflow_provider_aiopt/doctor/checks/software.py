"""The installed packages, and what a process really loads of them."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.compatibility import Stack, judge_stack, load_compatibility
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.inventory import Installed, judge_inventory, read_inventory
from airflow_provider_aiopt.doctor.libraries import judge_libraries
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, note, ok
from airflow_provider_aiopt.doctor.nvidia import driver_version
from airflow_provider_aiopt.doctor.probe import PROVIDERS, Probe

_PROBE_LIMIT_S = 120.0
_GPU_PACKAGE = "onnxruntime-gpu"


def _run_packages(_: CheckContext) -> Iterator[Finding | Skip]:
    if find_spec("packaging") is None:
        yield Skip("the module 'packaging', which reads requirements, is not installed")
        return
    table = load_compatibility()
    yield from judge_inventory(read_inventory(table.modules), table, platform.python_version())


def _run_versions(context: CheckContext) -> Iterator[Finding | Skip]:
    probe = context.probe.get()
    if isinstance(probe, Skip):
        yield probe
        return
    installed = read_inventory(()) if find_spec("packaging") else {}
    stack = read_stack(probe, installed, driver_version(context.root))
    if stack.onnxruntime is None and stack.torch_cuda is None:
        yield Skip("neither ONNX Runtime nor torch is a build for CUDA")
        return
    yield from judge_stack(stack, load_compatibility())


def read_stack(probe: Probe, installed: Mapping[str, Installed], driver: str | None) -> Stack:
    """Return the versions of what runs models on GPUs: of what was loaded, else of what is installed."""
    loaded = {library.family: library.version for library in probe.libraries}
    package = installed.get(_GPU_PACKAGE)
    for_cuda = _GPU_PACKAGE in str(probe.onnxruntime.get("package")) or bool(probe.onnxruntime.get("cuda"))
    return Stack(
        driver=driver,
        onnxruntime=probe.versions.get("onnxruntime") if for_cuda else None,
        onnxruntime_cuda=probe.onnxruntime.get("cuda"),
        onnxruntime_cudnn=_wanted_cudnn(package.requires if package else ()),
        torch=probe.versions.get("torch"),
        torch_cuda=probe.torch.get("cuda"),
        cudnn=loaded.get("libcudnn") or _version(installed, "nvidia-cudnn-cu"),
        tensorrt=loaded.get("libnvinfer") or _version(installed, "tensorrt"),
    )


def _wanted_cudnn(requires: tuple[str, ...]) -> int | None:
    """Return the major version in a requirement such as ``nvidia-cudnn-cu13~=9.0; extra == "cudnn"``."""
    from packaging.requirements import Requirement

    for wanted in map(Requirement, requires):
        if wanted.name.startswith("nvidia-cudnn-cu"):
            for specifier in wanted.specifier:
                return int(specifier.version.split(".")[0])
    return None


def _version(installed: Mapping[str, Installed], prefix: str) -> str | None:
    return next((item.version for name, item in sorted(installed.items()) if name.startswith(prefix)), None)


def _run_libraries(context: CheckContext) -> Iterator[Finding | Skip]:
    probe = context.probe.get()
    if isinstance(probe, Skip):
        remedy = "Import the modules one by one, and reinstall the one that fails"
        yield error("imports", probe.reason, remedy) if probe.unanswered else probe
        return
    for module, reason in probe.errors.items():
        yield error(f"module {module}", f"cannot be imported: {reason}", "Reinstall it, and what it names")
    yield from judge_libraries(probe.libraries)


def _run_providers(context: CheckContext) -> Iterator[Finding | Skip]:
    probe = context.probe.get()
    if isinstance(probe, Skip):
        yield probe
        return
    if "onnxruntime" not in probe.versions:
        yield Skip("ONNX Runtime is not installed, or cannot be imported")
        return
    yield from judge_providers(probe)


def judge_providers(probe: Probe) -> Iterator[Finding]:
    """Judge which of ONNX Runtime's execution providers can really be loaded."""
    providers = probe.onnxruntime.get("providers", [])
    unloadable = probe.onnxruntime.get("unloadable", {})
    subject = f"{probe.onnxruntime.get('package')} {probe.versions['onnxruntime']}"
    if probe.onnxruntime.get("package") == _GPU_PACKAGE and not set(providers) & set(PROVIDERS):
        yield error(
            subject,
            f"is the package for GPUs and has only {', '.join(providers)}: another onnxruntime has "
            "overwritten it",
            "pip uninstall onnxruntime onnxruntime-gpu; then pip install onnxruntime-gpu",
        )
    for provider, complaint in unloadable.items():
        yield judge_loader(provider, complaint)
    if loadable := [provider for provider in providers if provider not in unloadable]:
        yield ok(subject, f"loads {', '.join(loadable)}")


def judge_loader(provider: str, complaint: str) -> Finding:
    """Say what a loader's complaint about a provider means.

    :param complaint: for example ``libcudnn.so.9: cannot open shared object file: No such file or directory``
    """
    library = complaint.partition(":")[0]
    if library.startswith("libcuda.so"):
        remedy = "Install the NVIDIA driver, which brings it, or start the container with its GPUs"
    elif library.startswith(("libnvinfer", "libnvonnxparser")):
        remedy = "pip install tensorrt of the same major version, or leave model.device at cuda"
    elif library.startswith("libcudnn"):
        remedy = "pip install 'onnxruntime-gpu[cudnn]', or put the folder that has it on LD_LIBRARY_PATH"
    else:
        remedy = "pip install 'onnxruntime-gpu[cuda,cudnn]', or put the folder that has it on LD_LIBRARY_PATH"
    text = f"cannot be loaded: {complaint}. Sessions fall back to the next provider without an error"
    if provider == "TensorrtExecutionProvider":  # an option that most do without
        return note(provider, text, remedy)
    return error(provider, text, remedy)


PACKAGES = Check(
    "packages",
    "the installed packages beside each other's requirements",
    "requirements that are not met, of this package, Airflow, its providers, Celery, ONNX Runtime and "
    "torch; a "
    "Python that a package is not for; `onnxruntime` and `onnxruntime-gpu` side by side, of which one has "
    "overwritten "
    "the other; Celery 5.7, which the provider does not start with; versions beyond those tested (a note)",
    _run_packages,
)
VERSIONS = Check(
    "versions",
    "NVIDIA driver, CUDA, cuDNN, TensorRT, ONNX Runtime and torch beside each other",
    "a driver that is too old for the CUDA of a build; ONNX Runtime and torch for different CUDA; another "
    "cuDNN or "
    "TensorRT than ONNX Runtime was built for; versions that the table does not know (a note)",
    _run_versions,
    limit_s=_PROBE_LIMIT_S,
)
LIBRARIES = Check(
    "libraries",
    "the shared libraries that a fresh process loads with the runtimes",
    "modules that cannot be imported; two copies of a library that must be there once, as of cuDNN; two "
    "OpenMP "
    "runtimes, with their threads. A process of its own imports the runtimes, and the kernel says what is "
    "mapped "
    "into it: path, version, threads",
    _run_libraries,
    limit_s=_PROBE_LIMIT_S,
)
PROVIDERS_CHECK = Check(
    "providers",
    "the execution providers that ONNX Runtime can really load",
    "a build for GPUs whose CUDA provider cannot be loaded, with the loader's own words, such as "
    "`libcudnn.so.9: "
    "cannot open shared object file`; TensorRT's (a note); a package for GPUs that has only the CPU's",
    _run_providers,
    limit_s=_PROBE_LIMIT_S,
)
