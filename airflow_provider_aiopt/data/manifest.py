"""The marker that makes a shard of a stage durable, and references to it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_aiopt.exceptions import ShardError

_REFERENCE = re.compile(r"(ingest|preprocess|inference|postprocess)/([0-9]{5})")

ShardName = Annotated[str, Field(pattern=r"^[0-9]{5}$")]
"""The number of a shard as its files are named by: five digits, so that no name leads elsewhere."""


class ShardRef(NamedTuple):
    """The name of one shard of one stage, written ``stage/number``; all that XCom carries.

    :param stage: the stage that made it
    :param shard: its number, five digits
    """

    stage: str
    shard: str

    def __str__(self) -> str:
        """Return the form that travels between tasks."""
        return f"{self.stage}/{self.shard}"

    @classmethod
    def parse(cls, text: str) -> ShardRef:
        """Read a reference.

        :raises ShardError: if *text* is none
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ShardError(
                f"{text!r} is no shard reference; expected one like 'ingest/00000', as the stage operators "
                "return them"
            )
        return cls(match[1], match[2])


def shard_name(index: int) -> str:
    """Return the name of shard number *index*."""
    return f"{index:05d}"


class ShardManifest(BaseModel):
    """What a finished shard holds.  It is written last: where it exists, the files it names are whole.

    :param stage: the stage that made the shard
    :param shard: its number
    :param fingerprint: digest of everything the shard's content depends on
    :param records: records that the source gave for this shard, the bad ones included
    :param rows: good records in the shard's file
    :param quarantined: records that this stage quarantined
    :param quarantined_before: records that earlier stages quarantined; ``records == rows + quarantined +
        quarantined_before``
    :param file: name of the data file beside the manifest
    :param file_bytes: its size
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    stage: Literal["ingest", "preprocess", "inference", "postprocess"]
    shard: ShardName
    fingerprint: str
    records: int = Field(ge=0)
    rows: int = Field(ge=0)
    quarantined: int = Field(default=0, ge=0)
    quarantined_before: int = Field(default=0, ge=0)
    file: str = Field(pattern=r"^[0-9]{5}\.(arrow|parquet)$")
    file_bytes: int = Field(ge=0)

    @property
    def ref(self) -> ShardRef:
        """The shard's reference."""
        return ShardRef(self.stage, self.shard)

    @property
    def bad(self) -> int:
        """Records of this shard that are in quarantine so far."""
        return self.quarantined + self.quarantined_before

    @classmethod
    def from_json(cls, content: bytes, uri: str) -> ShardManifest:
        """Read a manifest.

        :param uri: where it lies, for the message
        :raises ShardError: if it is not one
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ShardError(
                f"{uri} is no shard manifest of this version: {error.errors()[0]['msg']}. Clear the stage's "
                "task to make it again"
            ) from error
