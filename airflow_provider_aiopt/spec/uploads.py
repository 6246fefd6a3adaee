"""Which uploads are watched for, and how they are handed on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.base import Patterns, SpecModel, StorageOptions
from airflow_provider_aiopt.spec.messages import describe_errors

MAX_REOFFER_S = 3600.0
"""Longest time between two offers of the same upload, in seconds; ``reoffer_s`` doubles up to it."""


class UploadWatchSpec(SpecModel):
    """A location to watch and how its uploads are offered.

    :param uri: the folder: an absolute local path or any URL that fsspec lists, such as ``s3://bucket/inbox``
    :param pattern: glob pattern or patterns, as for ``source.pattern``; hidden and temporary names never do
    :param recursive: whether to descend into sub-folders
    :param min_age_s: seconds for which a version must have been seen before it is offered
    :param settle_s: seconds for which a version must not have changed before it is offered; by default a
        local file is offered as soon as nobody on this machine has it open for writing, or after one second
        where that cannot be told, and an object at once, since objects appear whole
    :param poll_interval_s: seconds between listings of remote storage; a listing that is expensive is made
        less often
    :param rescan_s: seconds between scans of a local folder for what file-system events did not tell; a
        scan that is expensive is made less often
    :param window_s: seconds for which ready uploads are collected into one event; 0: those that are ready
        together
    :param max_batch: most uploads in one event
    :param existing: what becomes of objects that are there when a location is watched for the first time
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    :param list_timeout_s: seconds that one call of a remote listing may take
    :param state: folder or URL where claims and the like are kept, which every process that watches or
        consumes must reach; default: ``[aiopt] uploads_dir``
    :param state_storage_options: keyword arguments of the file system of *state*
    :param reoffer_s: seconds after which an upload that no run has claimed is offered again; doubles up to an
        hour
    """

    uri: str
    pattern: Patterns = ("*",)
    recursive: bool = False
    min_age_s: float = Field(default=0.0, ge=0)
    settle_s: float | None = Field(default=None, ge=0)
    poll_interval_s: float = Field(default=5.0, gt=0)
    rescan_s: float = Field(default=30.0, gt=0)
    window_s: float = Field(default=0.0, ge=0)
    max_batch: int = Field(default=100, ge=1)
    existing: Literal["skip", "offer"] = "skip"
    connection: str | None = None
    storage_options: StorageOptions = Field(default_factory=dict)
    list_timeout_s: float = Field(default=60.0, gt=0)
    state: str | None = None
    state_storage_options: StorageOptions = Field(default_factory=dict)
    reoffer_s: float = Field(default=600.0, gt=0, le=MAX_REOFFER_S)

    @cached_property
    def location(self) -> str:
        """The watched folder, written alike however the user wrote it."""
        return self.uri.removeprefix("file://").rstrip("/")

    @cached_property
    def watch_id(self) -> str:
        """What tells the state of this location and selection from that of others: 16 hexadecimal digits."""
        parts = "\0".join([self.location, *self.pattern, str(self.recursive)])
        return hashlib.blake2b(parts.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    @model_validator(mode="after")
    def _location_is_absolute(self) -> Self:
        for key, value in (("uri", self.uri), ("state", self.state)):
            if value is not None and "://" not in value and not value.startswith("/"):
                raise ValueError(
                    f"{key} must be an absolute path or a URL, since several processes use it, each from a "
                    f"working directory of its own; found {value!r}"
                )
        return self

    @model_validator(mode="after")
    def _patterns_stay_inside(self) -> Self:
        for pattern in self.pattern:
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"pattern {pattern!r} may not leave the watched folder by '/' or '..'")
        return self


def load_watch_spec(values: UploadWatchSpec | Mapping[str, Any]) -> UploadWatchSpec:
    """Build the spec of a watch and check it.

    :param values: a spec or its plain values
    :raises SpecError: naming every key at fault, what was found and what is allowed
    """
    if isinstance(values, UploadWatchSpec):
        return values
    try:
        return UploadWatchSpec.model_validate(dict(values))
    except ValidationError as error:
        raise SpecError(describe_errors(error, "The upload watch", UploadWatchSpec)) from None
