from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_aiopt.triggers import redis_stream
from airflow_provider_aiopt.triggers.redis_stream import RedisStreamTrigger


class FakeRedis:
    """Answers the calls of the trigger from lists; an error in a list is raised."""

    def __init__(self, *reads: Any, left: Any = ()) -> None:
        self.reads = list(reads)
        self.left = list(left)
        self.closed = 0

    def xgroup_create(self, *_: Any, **__: Any) -> None:
        import redis

        raise redis.ResponseError("BUSYGROUP Consumer Group name already exists")

    def xautoclaim(self, *_: Any, **__: Any) -> Any:
        return (b"0-0", self.left.pop(0) if self.left else [], [])

    def xreadgroup(self, *_: Any, **__: Any) -> Any:
        answer = self.reads.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


def first_payloads(monkeypatch: pytest.MonkeyPatch, client: FakeRedis, count: int) -> list[Any]:
    monkeypatch.setattr(redis_stream, "connect", lambda _: client)
    monkeypatch.setattr(redis_stream, "_LEAST_PAUSE_S", 0.0)

    async def take() -> list[Any]:
        events = RedisStreamTrigger("s").run()
        found = [(await anext(events)).payload for _ in range(count)]
        await events.aclose()
        return found

    return asyncio.run(take())


ENTRY = (b"1-0", {b"data": b"{}"})
READ = {"stream": "s", "entries": [{"id": "1-0", "fields": {"data": "{}"}}]}


@pytest.mark.parametrize("answer", [[[b"s", [ENTRY]]], {b"s": [[ENTRY]]}, {b"s": [ENTRY]}])
def test_answers_of_both_protocols(monkeypatch: pytest.MonkeyPatch, answer: Any):
    client = FakeRedis(None, [], answer)
    assert first_payloads(monkeypatch, client, 1) == [READ]
    assert client.closed == 1


def test_what_was_not_acknowledged_comes_first(monkeypatch: pytest.MonkeyPatch):
    client = FakeRedis([[b"s", [(b"2-0", {b"data": b"new"})]]], left=[[ENTRY, (b"0-1", None)]])
    first, second = first_payloads(monkeypatch, client, 2)
    assert first == READ
    assert second["entries"][0]["id"] == "2-0"


def test_a_redis_that_goes_away_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    client = FakeRedis(ConnectionError("gone"), [[b"s", [ENTRY]]])
    assert first_payloads(monkeypatch, client, 1) == [READ]
    assert client.closed == 2


def test_what_is_no_text_or_too_long_says_so(monkeypatch: pytest.MonkeyPatch):
    broken = (b"1-0", {b"data": b"\xff"})
    long = (b"2-0", {b"data": b"x" * (2 * 1024 * 1024)})
    (payload,) = first_payloads(monkeypatch, FakeRedis([[b"s", [broken, long]]]), 1)
    one, two = payload["entries"]
    assert "no UTF-8" in one["fault"]
    assert "2097152 bytes" in two["fault"]
    assert len(two["fields"]["data"]) <= 4096
