"""Which versions fit together: the table, and findings from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_aiopt.doctor.models import Finding, error, note, ok, warning


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Drivers(_Model):
    """The oldest NVIDIA driver for each major version of CUDA."""

    source: str
    minimum: Mapping[int, str]


class OrtRelease(_Model):
    """What a minor version of onnxruntime-gpu was built for."""

    versions: str
    cuda: int
    cudnn: int
    tensorrt: str


class OrtReleases(_Model):
    """The minor versions of onnxruntime-gpu that are known."""

    sources: tuple[str, ...]
    known_until: str
    releases: tuple[OrtRelease, ...]

    def find(self, version: str) -> OrtRelease | None:
        """Return what is known of a version."""
        minor = ".".join(version.split(".")[:2])
        return next((release for release in self.releases if release.versions == minor), None)


class Range(_Model):
    """Versions that the project's tests ran with."""

    oldest: str
    newest: str


class Incompatibility(_Model):
    """Two packages of which some versions do not work together, although their metadata allow it."""

    package: str
    versions: str
    with_: str = Field(alias="with")
    with_versions: str
    why: str
    remedy: str
    source: str


class Compatibility(_Model):
    """The whole table."""

    drivers: Drivers
    onnxruntime: OrtReleases
    tested: Mapping[str, Range]
    incompatible: tuple[Incompatibility, ...]
    modules: tuple[str, ...]


@cache
def load_compatibility() -> Compatibility:
    """Return the table that comes with the package."""
    text = files("airflow_provider_aiopt.doctor").joinpath("compatibility.yaml").read_text("utf-8")
    return Compatibility.model_validate(yaml.safe_load(text))


@dataclass(frozen=True, slots=True)
class Stack:
    """The versions of what runs models on NVIDIA GPUs; None for what is not there.

    :param driver: the NVIDIA driver's
    :param onnxruntime: ONNX Runtime's, where it is a build for CUDA
    :param onnxruntime_cuda: the CUDA version that it was built for, by its own account
    :param onnxruntime_cudnn: the major version of cuDNN that its metadata ask for
    :param torch: PyTorch's
    :param torch_cuda: the CUDA version that it was built for; None for a build for the CPU
    :param cudnn: cuDNN's, as loaded or installed
    :param tensorrt: TensorRT's, as loaded or installed
    """

    driver: str | None = None
    onnxruntime: str | None = None
    onnxruntime_cuda: str | None = None
    onnxruntime_cudnn: int | None = None
    torch: str | None = None
    torch_cuda: str | None = None
    cudnn: str | None = None
    tensorrt: str | None = None


def judge_stack(stack: Stack, table: Compatibility) -> Iterator[Finding]:
    """Judge whether driver, CUDA, cuDNN, TensorRT, ONNX Runtime and torch fit together."""
    release = table.onnxruntime.find(stack.onnxruntime) if stack.onnxruntime else None
    ort_cuda = _major(stack.onnxruntime_cuda) or (release.cuda if release else None)
    torch_cuda = _major(stack.torch_cuda)
    if stack.onnxruntime and release is None:
        yield _unknown_release(stack, table, ort_cuda)
    builds = {f"onnxruntime-gpu {stack.onnxruntime}": ort_cuda, f"torch {stack.torch}": torch_cuda}
    for build, cuda in builds.items():
        if cuda:
            yield _driver(stack.driver, build, cuda, table.drivers)
    if ort_cuda and torch_cuda and ort_cuda != torch_cuda:
        yield warning(
            "CUDA",
            f"onnxruntime-gpu {stack.onnxruntime} was built for CUDA {ort_cuda}, torch {stack.torch} for "
            f"{torch_cuda}: neither finds its libraries among the other's, and both in one process take "
            "twice the "
            "memory",
            f"Install builds for the same CUDA, for example torch for CUDA {ort_cuda}",
        )
    if stack.onnxruntime:
        cudnn = stack.onnxruntime_cudnn or (release and release.cudnn)
        suffix = f"cu{ort_cuda or ''}"
        needs = {"cuDNN": cudnn and str(cudnn), "TensorRT": release and release.tensorrt}
        found = {"cuDNN": stack.cudnn, "TensorRT": stack.tensorrt}
        packages = {"cuDNN": f"nvidia-cudnn-{suffix}", "TensorRT": f"tensorrt-{suffix}"}
        for name, wanted in needs.items():
            version = found[name]
            if version and wanted:
                yield _library(name, version, wanted, packages[name], stack.onnxruntime)


def _driver(driver: str | None, build: str, cuda: int, drivers: Drivers) -> Finding:
    minimum = drivers.minimum.get(cuda)
    newest = max(drivers.minimum)
    if driver is None:
        return note(
            "NVIDIA driver",
            f"none is loaded, and {build} was built for CUDA {cuda}: it runs on the CPU",
            f"On a machine with a GPU install driver {minimum or 'for CUDA ' + str(cuda)} or newer",
        )
    if minimum is None:
        return note(
            "NVIDIA driver",
            f"{driver}; what CUDA {cuda} of {build} needs is not known to this version, which knows CUDA "
            f"up to {newest}",
            f"Compare with {drivers.source}",
        )
    if _numbers(driver) < _numbers(minimum):
        return error(
            "NVIDIA driver",
            f"{driver}; {build} was built for CUDA {cuda}, which needs {minimum} or newer",
            f"Update the driver to {minimum} or newer, or install a build for an older CUDA "
            f"({drivers.source})",
        )
    return ok("NVIDIA driver", f"{driver}; {build}, built for CUDA {cuda}, needs {minimum} or newer")


def _library(name: str, found: str, wanted: str, package: str, onnxruntime: str) -> Finding:
    build = f"onnxruntime-gpu {onnxruntime}"
    if _major(found) != _major(wanted):
        return error(
            name,
            f"{found}, and {build} needs {name} {wanted}: its library has another name and is not found",
            f"pip install '{package}~={_major(wanted)}.0'",
        )
    if "." in wanted and _numbers(found)[:2] != _numbers(wanted):
        return note(
            name,
            f"{found}; {build} was built and tested with {wanted}",
            f"Where engines fail to build: pip install '{package}~={wanted}.0'",
        )
    return ok(name, f"{found}; {build} needs {wanted}")


def _unknown_release(stack: Stack, table: Compatibility, cuda: int | None) -> Finding:
    told = (
        f"it says itself that it was built for CUDA {cuda}"
        if cuda
        else "it does not say itself for which CUDA"
    )
    return note(
        "onnxruntime-gpu",
        f"{stack.onnxruntime} is not in this version's table, which ends with "
        f"{table.onnxruntime.known_until}; {told}",
        f"Compare with {table.onnxruntime.sources[0]}",
    )


def _major(version: Any) -> int | None:
    return (_numbers(str(version)) or (None,))[0] if version else None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, as far as they are numbers."""
    numbers = []
    for part in version.split("+", maxsplit=1)[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
