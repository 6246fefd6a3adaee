"""Where records come from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from airflow_provider_aiopt.spec.base import Patterns, SpecModel, StorageOptions

MEBIBYTE = 1024 * 1024


class SourceSpec(SpecModel):
    """The records of a run: files, or the rows of CSV, JSON Lines or Parquet files.

    :param uri: a file or folder: a local path or any URL that fsspec knows, such as ``s3://bucket/photos``
    :param format: ``files`` makes each file one record; the others make each row one record
    :param pattern: glob pattern or patterns; one with a ``/`` is matched against the path below *uri*, else
        against the file name alone.  Hidden files never match.
    :param recursive: whether to descend into sub-folders
    :param columns: for the row formats, the columns that make up a record
    :param id_column: for the row formats, the column that names a record; default ``<file>#<row>``
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    :param max_record_bytes: a larger record is quarantined, never read
    :param allow_empty: whether a source without any record is a successful, empty run or an error
    """

    uri: str
    format: Literal["files", "csv", "jsonl", "parquet"] = "files"
    pattern: Patterns = ("*",)
    recursive: bool = False
    columns: tuple[str, ...] = ()
    id_column: str | None = None
    connection: str | None = None
    storage_options: StorageOptions = Field(default_factory=dict)
    max_record_bytes: int = Field(default=64 * MEBIBYTE, ge=1)
    allow_empty: bool = False

    @model_validator(mode="after")
    def _columns_belong_to_rows(self) -> Self:
        if self.format == "files" and (self.columns or self.id_column):
            raise ValueError(
                "columns and id_column belong to the formats csv, jsonl and parquet; with format 'files' "
                "each file is one record"
            )
        if self.format != "files" and not self.columns:
            raise ValueError(f"format {self.format!r} needs columns: which columns make up a record")
        return self

    @model_validator(mode="after")
    def _patterns_stay_inside(self) -> Self:
        for pattern in self.pattern:
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"pattern {pattern!r} may not leave the source's root by '/' or '..'")
        return self
