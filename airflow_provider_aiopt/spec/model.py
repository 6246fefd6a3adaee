"""Which model runs, and on what."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_provider_aiopt.spec.base import SpecModel, StorageOptions

BUILTIN_SCHEME = "builtin:"

RUNTIME_FILES = {"onnxruntime": (".onnx",), "torch": (".pt2", ".pt", ".ts")}
"""Endings of the files that each runtime executes."""


class TorchSpec(SpecModel):
    """How PyTorch runs a model.

    :param autocast: lower precision for the operations that bear it; it changes results
    :param channels_last: keep an image's channels together, as convolutions on recent devices like it
    :param compile: compile the model with ``torch.compile`` at its first call, which then takes longer
    :param input_dtype: numpy's name of the element type of the inputs of a TorchScript file, which does not
        say; an exported program does
    """

    autocast: Literal["bfloat16", "float16"] | None = None
    channels_last: bool = False
    compile: bool = False
    input_dtype: Literal["float32", "float16", "float64", "uint8", "int32", "int64"] = "float32"


class ModelSpec(SpecModel):
    """A model file, pinned by its hash, and the device that it runs on.

    :param uri: ``builtin:NAME`` for a model that ships with the package; else the path or URL of a model file
        or of a model folder, as ``aiopt model export`` makes it
    :param sha256: expected hash of the model file; a model folder's card pins it already
    :param runtime: the runtime that executes the file: ``onnxruntime`` an ``.onnx`` file, ``torch`` a
        ``.pt2`` file (exported program) or a ``.pt`` or ``.ts`` file (TorchScript)
    :param device: ``cuda`` and ``tensorrt`` must load or the task fails; ``auto`` takes CUDA where it loads
        and else the CPU; what really loaded is in the stage report
    :param threads: threads of one inference call; default: one for each core that the process may use
    :param torch: how PyTorch runs the model
    :param labels: path of a text file with one class name per line; a model folder's card names its own
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    """

    uri: str
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    runtime: Literal["onnxruntime", "torch"] = "onnxruntime"
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    torch: TorchSpec = TorchSpec()
    labels: str | None = None
    connection: str | None = None
    storage_options: StorageOptions = Field(default_factory=dict)

    @field_validator("sha256", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _builtin_is_local(self) -> Self:
        if self.uri.startswith(BUILTIN_SCHEME) and (self.connection or self.storage_options):
            raise ValueError(
                f"connection and storage_options have no meaning for {self.uri!r}: a builtin model ships "
                "with the package"
            )
        return self

    @model_validator(mode="after")
    def _runtime_fits(self) -> Self:
        if self.runtime == "torch" and self.device == "tensorrt":
            raise ValueError(
                "device 'tensorrt' belongs to runtime 'onnxruntime'. With runtime 'torch' set device to "
                "'cuda', 'cpu' or 'auto'"
            )
        if self.runtime != "torch" and self.torch != TorchSpec():
            raise ValueError(
                f"the section torch has no meaning for runtime {self.runtime!r}. Set runtime to 'torch', or "
                "leave the section out"
            )
        for runtime, endings in RUNTIME_FILES.items():
            if runtime != self.runtime and self.uri.rstrip("/").endswith(endings):
                raise ValueError(
                    f"runtime {self.runtime!r} executes {', '.join(RUNTIME_FILES[self.runtime])} files, but "
                    f"uri is {self.uri!r}. Set runtime to {runtime!r}"
                )
        return self
