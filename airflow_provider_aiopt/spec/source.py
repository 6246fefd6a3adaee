"""Where records come from."""

from __future__ import annotations

import json
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from airflow_provider_aiopt.spec.base import Patterns, SpecModel, StorageOptions

MEBIBYTE = 1024 * 1024
PYTHON_SCHEME = "python:"

_HOW_TO_REACH = {
    "storage_options",
    "connection",
    "attempts",
    "backoff_s",
    "max_backoff_s",
    "read_timeout_s",
    "list_timeout_s",
    "readers",
    "manifest",  # what it says is what counts, and part of each record's own identity
}


class SourceSpec(SpecModel):
    """The records of a run: files; rows of CSV, JSON Lines or Parquet files; items of a Python data set.

    :param uri: a file or folder: a local path or any URL that fsspec knows, such as ``s3://bucket/photos``;
        for the format ``python`` the dotted path of a callable, such as ``python:my_package.datasets.photos``
    :param format: ``files`` makes each file one record; ``csv``, ``jsonl`` and ``parquet`` make each row one;
        ``python`` makes each item one of the data set that the callable returns
    :param pattern: glob pattern or patterns; one with a ``/`` is matched against the path below *uri*, else
        against the file name alone.  Hidden files never match.
    :param recursive: whether to descend into sub-folders
    :param manifest: path or URL of a JSON Lines file of uploads, each with ``uri``, ``size`` and ``version``:
        they are read in the place of what the folder *uri* holds, below which all of them must lie; *pattern*
        and *recursive* do not apply.  An object that is no longer of its version is quarantined.  Read with
        *storage_options* where it lies in the same kind of storage as *uri*
    :param arguments: for the format ``python``, keyword arguments of the callable; a retry keeps results as
        long as these stay the same, so name the data's version here if it can change
    :param columns: for the row formats, the columns that make up a record; for ``python`` the keys of
        mappings or the positions in sequences
    :param id_column: for the row formats and ``python``, the column that names a record; default
        ``<file>#<row>`` or ``<callable>#<item>``
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    :param max_record_bytes: a larger record is quarantined, never read
    :param attempts: how often a read or a listing of remote storage is tried before the task fails; timeouts,
        lost connections, throttling and server errors are tried again, "not found" and "forbidden" are not
    :param backoff_s: longest wait before the second attempt, in seconds; it doubles from one attempt to the
        next, and each wait is a random part of it
    :param max_backoff_s: longest wait before any attempt, in seconds
    :param read_timeout_s: seconds that one read of a remote file, or of a part of it, may take
    :param readers: files that are read side by side; default: as many as ``execution.workers``.  Storage that
        takes long to answer wants more of them than there are cores
    :param list_timeout_s: seconds that the listing of remote storage may take
    :param allow_empty: whether a source without any record is a successful, empty run or an error
    """

    uri: str
    format: Literal["files", "csv", "jsonl", "parquet", "python"] = "files"
    pattern: Patterns = ("*",)
    recursive: bool = False
    manifest: str | None = None
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    columns: tuple[str, ...] = ()
    id_column: str | None = None
    connection: str | None = None
    storage_options: StorageOptions = Field(default_factory=dict)
    max_record_bytes: int = Field(default=64 * MEBIBYTE, ge=1)
    attempts: int = Field(default=4, ge=1, le=100)
    backoff_s: float = Field(default=1.0, ge=0)
    max_backoff_s: float = Field(default=30.0, ge=0)
    read_timeout_s: float = Field(default=120.0, gt=0)
    list_timeout_s: float = Field(default=600.0, gt=0)
    readers: int | None = Field(default=None, ge=1, le=256)
    allow_empty: bool = False

    def identity(self) -> str:
        """Return, as text, all that decides which records there are and how they are read."""
        values = self.model_dump(mode="json", exclude=_HOW_TO_REACH)
        if self.manifest is not None:
            values["pinned"] = True
        return json.dumps(values, sort_keys=True)

    @model_validator(mode="after")
    def _columns_belong_to_rows(self) -> Self:
        if self.format == "files" and (self.columns or self.id_column):
            raise ValueError(
                "columns and id_column belong to the formats csv, jsonl, parquet and python; with format "
                "'files' each file is one record"
            )
        if self.format not in ("files", "python") and not self.columns:
            raise ValueError(f"format {self.format!r} needs columns: which columns make up a record")
        return self

    @model_validator(mode="after")
    def _callables_belong_to_python(self) -> Self:
        if (self.format == "python") != self.uri.startswith(PYTHON_SCHEME):
            raise ValueError(
                f"uri {self.uri!r} does not fit format {self.format!r}: format 'python' takes the path of a "
                f"callable as '{PYTHON_SCHEME}my_package.datasets.photos', and no other format does"
            )
        if self.manifest and self.format == "python":
            raise ValueError(
                "manifest lists files, which the format 'python' has none of: leave one of them out"
            )
        if self.arguments and self.format != "python":
            raise ValueError(f"arguments belong to the format 'python'; the format is {self.format!r}")
        return self

    @model_validator(mode="after")
    def _patterns_stay_inside(self) -> Self:
        for pattern in self.pattern:
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"pattern {pattern!r} may not leave the source's root by '/' or '..'")
        return self
