"""One upload, and lists of them as JSON Lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from airflow_provider_aiopt.exceptions import UploadRecordError

_KEY_BYTES = 16


def upload_key(uri: str, version: str) -> str:
    """Return the 32 hexadecimal digits that name one version of one object everywhere."""
    text = f"{uri}\0{version}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=_KEY_BYTES).hexdigest()


@dataclass(frozen=True)
class Upload:
    """One version of one object.

    :param uri: where it is, as fsspec would open it
    :param size: its size in bytes
    :param version: what changes when its content does; see :mod:`airflow_provider_aiopt.data.versions`
    :param seen_at: when it was first seen, in seconds since the epoch by the clock of who saw it
    """

    uri: str
    size: int
    version: str
    seen_at: float

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits made of URI and version: equal for the same upload, wherever it is seen."""
        return upload_key(self.uri, self.version)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Upload:
        """Read what :meth:`to_dict` gave; unknown keys are ignored, so that others may add some.

        :raises UploadRecordError: if a value is missing or of another type
        """
        try:
            uri, size, version = values["uri"], values["size"], values["version"]
            seen_at = values.get("seen_at", 0.0)
        except (AttributeError, KeyError, TypeError) as error:
            raise UploadRecordError(
                f"An upload is a mapping with uri, size, version and seen_at; found {values!r:.200}"
            ) from error
        right = (
            isinstance(uri, str)
            and isinstance(version, str)
            and type(size) is int
            and size >= 0
            and isinstance(seen_at, int | float)
        )
        if not right or not uri:
            raise UploadRecordError(
                "An upload has a text as uri and version, a size in bytes and a time as seen_at; found "
                f"{dict(values)!r:.200}"
            )
        return cls(uri, size, version, float(seen_at))


def to_jsonl(uploads: Iterable[Upload]) -> bytes:
    """Return *uploads* as JSON Lines in ASCII, one to a line whatever their names hold."""
    return "".join(f"{json.dumps(upload.to_dict())}\n" for upload in uploads).encode("ascii")


def from_jsonl(content: bytes, origin: str) -> list[Upload]:
    """Read what :func:`to_jsonl` gave.

    :param origin: where it comes from, for messages
    :raises UploadRecordError: naming the line that is none
    """
    uploads = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            uploads.append(Upload.from_dict(json.loads(line)))
        except (RecursionError, ValueError) as error:  # an UploadRecordError is a ValueError, too
            raise UploadRecordError(f"{origin}, line {number}, is no upload: {error}") from error
    return uploads


def run_id_for(uploads: Sequence[Upload]) -> str:
    """Return the id of the run that the direct route makes for *uploads*: the same for the same uploads.

    :param uploads: one or more
    """
    if len(uploads) == 1:
        return f"upload__{uploads[0].key}"
    keys = "".join(sorted(upload.key for upload in uploads)).encode("ascii")
    return f"uploads__{hashlib.blake2b(keys, digest_size=_KEY_BYTES).hexdigest()}"
