"""A Redis stream as an asset's watcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_aiopt.airflow.messages import text_or_fault
from airflow_provider_aiopt.airflow.redis_streams import CONNECTION, GROUP, connect

_LEAST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0
_BLOCK_MS = 1000  # how long a cancelled trigger's last read may still wait


class RedisStreamTrigger(BaseEventTrigger):
    """Fires with the entries of a Redis stream, as a member of a consumer group.

    Airflow's Redis provider has no trigger for streams, only for channels, whose messages are lost to who is
    not listening.  An entry that nobody has acknowledged after *reoffer_s* is handed on again.  Redis 6.2 or
    later is needed.

    :param stream: the stream's key; made if it is not there
    :param group: the consumer group; made, from the beginning of the stream, if it is not there
    :param redis_conn_id: Airflow connection of the Redis
    :param max_messages: most entries in one event
    :param reoffer_s: seconds after which an entry that was not acknowledged is handed on again
    """

    def __init__(
        self,
        stream: str,
        group: str = GROUP,
        redis_conn_id: str = CONNECTION,
        max_messages: int = 10,
        reoffer_s: float = 300.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stream = stream
        self.group = group
        self.redis_conn_id = redis_conn_id
        self.max_messages = max_messages
        self.reoffer_s = reoffer_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the trigger is made of again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "stream": self.stream,
            "group": self.group,
            "redis_conn_id": self.redis_conn_id,
            "max_messages": self.max_messages,
            "reoffer_s": self.reoffer_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events for ever; a Redis that is away is tried again and again."""
        pause = _LEAST_PAUSE_S
        while True:
            reader = _Reader(self)
            try:
                await asyncio.to_thread(reader.open)
                while True:
                    if entries := await asyncio.to_thread(reader.read):
                        payload = {"stream": self.stream, "entries": entries}
                        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
                    pause = _LEAST_PAUSE_S
            except Exception:
                self.log.exception("Reading the Redis stream failed; it is tried again in %g s", pause)
            finally:
                reader.close()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MOST_PAUSE_S)


class _Reader:
    """A connection that reads; its calls block."""

    def __init__(self, trigger: RedisStreamTrigger) -> None:
        self._trigger = trigger
        self._client: Any = None
        self._look_at = 0.0

    def open(self) -> None:
        import redis

        self._client = connect(self._trigger.redis_conn_id)
        try:
            self._client.xgroup_create(self._trigger.stream, self._trigger.group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def read(self) -> list[dict[str, Any]]:
        """Wait for entries and return as many as there are, at most what an event may have."""
        trigger = self._trigger
        found = self._left() if time.monotonic() >= self._look_at else []
        if not found:
            # The consumer's name is always the same: a trigger runs in one triggerer at a time.
            answer = self._client.xreadgroup(
                trigger.group, "trigger", {trigger.stream: ">"}, count=trigger.max_messages, block=_BLOCK_MS
            )
            # A list in Redis' older protocol, a mapping in its newer one.
            streams = answer.values() if isinstance(answer, dict) else (part for _, part in answer or ())
            found = [entry for entries in streams for entry in _flat(entries)]
        return [_entry(name, fields) for name, fields in found]

    def _left(self) -> list[Any]:
        """Return entries that were handed on and not acknowledged for long."""
        trigger = self._trigger
        idle_ms = int(trigger.reoffer_s * 1000)
        answer = self._client.xautoclaim(
            trigger.stream, trigger.group, "trigger", idle_ms, count=trigger.max_messages
        )
        found = [entry for entry in answer[1] if entry[1] is not None]  # else it was deleted meanwhile
        if not found:
            self._look_at = time.monotonic() + min(trigger.reoffer_s, _MOST_PAUSE_S) / 2
        return found


def _flat(entries: Any) -> list[Any]:
    """Return entries, which the newer protocol's answers have one list deeper."""
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], list | tuple):
        return [entry for part in entries for entry in part]
    return list(entries)


def _entry(name: Any, fields: Any) -> dict[str, Any]:
    from airflow_provider_aiopt.uploads.notifications import MAX_MESSAGE_BYTES

    entry: dict[str, Any] = {"id": _text(name), "fields": {}}
    left = MAX_MESSAGE_BYTES
    for key, value in fields.items():
        content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        read = text_or_fault(content, left, key="text")
        left = max(0, left - len(content))
        entry["fields"][_text(key)] = read["text"]
        if "fault" in read:
            entry["fault"] = read["fault"]
    return entry


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
