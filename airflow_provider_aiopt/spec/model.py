"""Which model runs, and on what."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_provider_aiopt.spec.base import SpecModel, StorageOptions

BUILTIN_SCHEME = "builtin:"


class ModelSpec(SpecModel):
    """A model file, pinned by its hash, and the device that it runs on.

    :param uri: ``builtin:NAME`` for a model that ships with the package; else the path or URL of an ``.onnx``
        file or of a model folder, as ``aiopt model export`` makes it
    :param sha256: expected hash of the model file; a model folder's card pins it already
    :param runtime: the runtime that executes the file
    :param device: ``cuda`` must load or the task fails; ``auto`` takes CUDA where it loads and else the CPU;
        what really loaded is in the stage report
    :param threads: threads of one inference call; default: one for each core that the process may use
    :param labels: path of a text file with one class name per line; a model folder's card names its own
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    """

    uri: str
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    runtime: Literal["onnxruntime"] = "onnxruntime"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1)
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
