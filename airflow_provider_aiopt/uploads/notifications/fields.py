"""Values within a notification, which anyone may have sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError

_MAX_SIZE = 2**63 - 1  # what shards and listings can hold


class Format(Protocol):
    """One way of telling of uploads."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:
        """Return the parts of a notification, each of which tells of one event.

        :param value: the notification, as read from JSON
        :param attributes: what came beside it
        :returns: None if it is of another format
        """
        ...

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload that one part tells of.

        :param item: one of :meth:`items`
        :param seen_at: when it was received, in seconds since the epoch
        :returns: None if it tells of something else, such as a deletion
        :raises NotificationError: if it is not what its format promises
        """
        ...


def find(value: Any, *path: str) -> Any:
    """Return what lies in nested mappings, or None."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def excerpt(value: Any, length: int = 200) -> str:
    """Return the beginning of what *value* looks like, for messages."""
    try:
        return repr(value)[:length]
    except RecursionError:
        return "(what is nested too deeply to be shown)"


def text(value: Any, *path: str) -> str:
    """Return a text that must be there.

    :raises NotificationError: if it is missing, empty, or holds what no object's name can
    """
    found = find(value, *path)
    if not isinstance(found, str) or not found:
        raise NotificationError(f"{'.'.join(path)} must be a text; found {excerpt(found)}")
    return well_formed(found, ".".join(path))


def well_formed(found: str, what: str) -> str:
    """Return *found* if every store could have it as a name.

    JSON's escapes can spell halves of surrogate pairs, which cannot be encoded; those that stand for the
    single bytes of a local file name can.

    :raises NotificationError: if not
    """
    try:
        found.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise NotificationError(f"{what} is no Unicode text: {excerpt(found)}") from None
    if "\0" in found:
        raise NotificationError(f"{what} holds a NUL character: {excerpt(found)}")
    return found


def size(value: Any, *path: str) -> int:
    """Return a number of bytes, written as a number or, as Google does, as its decimal digits.

    :raises NotificationError: if it is missing or out of range
    """
    found = find(value, *path)
    # Python reads at most some thousand digits, and other alphabets' digits, too.
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= len(str(_MAX_SIZE)):
        found = int(found)
    if type(found) is not int or not 0 <= found <= _MAX_SIZE:
        raise NotificationError(
            f"{'.'.join(path)} must be a size in bytes from 0 to {_MAX_SIZE}; found {excerpt(found)}"
        )
    return found
