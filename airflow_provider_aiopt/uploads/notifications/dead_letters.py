"""What could not be read, kept for people to look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.uploads.notifications.fields import excerpt

FOLDER = "dead_letters"
"""Folder of a watch's state that has them."""

_MAX_CONTENT = 16 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or a part of one, that was passed over.

    :param reason: what is wrong with it
    :param origin: which message of which queue it is
    :param content: its beginning, at most 16,384 characters
    :param received_at: when it was received, in seconds since the epoch
    """

    reason: str
    origin: str
    content: str
    received_at: float

    @classmethod
    def of(cls, reason: str, origin: str, content: Any, received_at: float) -> DeadLetter:
        """Make one of any content."""
        shown = content if isinstance(content, str) else excerpt(content, _MAX_CONTENT)
        return cls(reason, origin, shown[:_MAX_CONTENT], received_at)


class DeadLetters:
    """The dead letters of a watch: JSON Lines files, one for all of an event.

    :param folder: the watch's folder within the state
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder.child(FOLDER)

    def keep(self, letters: Sequence[DeadLetter]) -> str | None:
        """Keep *letters*; those that a retry keeps again are kept once.

        :returns: the file's URI, None where there are none
        :raises StorageError: if they cannot be kept
        """
        if not letters:
            return None
        told = "\0".join(f"{letter.reason}\0{letter.origin}\0{letter.content}" for letter in letters)
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16)
        name = f"{digest.hexdigest()}.jsonl"
        lines = (f"{json.dumps(asdict(letter))}\n" for letter in letters)
        self._folder.write(name, "".join(lines).encode("ascii"))
        return self._folder.uri_of(name)

    def read(self) -> list[DeadLetter]:
        """Return all of them, in the order in which they were received."""
        found = []
        for name in self._folder.names():
            content = self._folder.find(name)
            found += [DeadLetter(**json.loads(line)) for line in (content or b"").splitlines()]
        return sorted(found, key=lambda letter: letter.received_at)
