from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from direct_route import FakeRuns, away, starter_of
from upload_watching import make_upload

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.direct import service as module
from airflow_provider_aiopt.direct.service import DirectService
from airflow_provider_aiopt.direct.starter import RunStarter
from airflow_provider_aiopt.exceptions import ExclusiveCreateError

A, B = make_upload("a.jpg"), make_upload("b.jpg")


class Inbox:
    """A watch whose batches the test gives, and which never ends by itself."""

    def __init__(self, *batches: list[Upload]) -> None:
        self.batches = batches
        self.closed = False

    async def __call__(self, on_ready: Callable[[], None]) -> AsyncGenerator[list[Upload]]:
        try:
            on_ready()
            for batch in self.batches:
                yield batch
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def run_until(service: DirectService, condition: Callable[[], bool]) -> None:
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)
    service.stop()
    await running


def serve(starter: RunStarter, inbox: Inbox, until: Callable[[], bool]) -> DirectService:
    async def main() -> DirectService:
        service = DirectService(inbox, starter, on_ready=lambda: None)
        await run_until(service, until)
        return service

    return asyncio.run(main())


def test_every_batch_becomes_a_run(tmp_path: Path) -> None:
    airflow, inbox = FakeRuns(), Inbox([A], [B])
    starter, _ = starter_of(tmp_path, airflow)
    service = serve(starter, inbox, lambda: len(airflow.runs) == 2)
    assert inbox.closed
    assert not service.watching
    assert starter_of(tmp_path, airflow)[0].resume() == 0


def test_it_says_when_it_watches(tmp_path: Path) -> None:
    said: list[bool] = []
    starter, _ = starter_of(tmp_path, FakeRuns())

    async def main() -> None:
        service = DirectService(Inbox(), starter, on_ready=lambda: said.append(service.watching))
        await run_until(service, lambda: bool(said))

    asyncio.run(main())
    assert said == [True]


def test_what_a_crashed_instance_left_is_finished(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [away()]
    starter_of(tmp_path, airflow)[0].start([A])
    serve(starter_of(tmp_path, airflow)[0], Inbox(), lambda: len(airflow.runs) == 1)


def test_it_goes_on_until_airflow_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "backoff_s", lambda _: 0.0)
    airflow = FakeRuns()
    airflow.failures = [away() for _ in range(5)]
    starter, _ = starter_of(tmp_path, airflow)
    service = serve(starter, Inbox([A], [B]), lambda: len(airflow.runs) == 2 and not starter.counts.is_away)
    assert starter.counts.failures == 5
    assert starter.counts.trouble == ""
    assert service.pending == 0 or starter.resume() == 0


def test_stopped_while_airflow_is_away_it_leaves_the_batch(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [away() for _ in range(1000)]
    starter, _ = starter_of(tmp_path, airflow)
    serve(starter, Inbox([A]), lambda: starter.counts.failures > 0)
    airflow.failures = []
    assert starter_of(tmp_path, airflow)[0].resume() == 0
    assert len(airflow.runs) == 1


def test_a_watch_that_cannot_be_made_ends_it(tmp_path: Path) -> None:
    async def broken(_: Callable[[], None]) -> AsyncGenerator[list[Upload]]:
        raise ExclusiveCreateError("the state cannot decide who is first")
        yield []

    starter, _ = starter_of(tmp_path, FakeRuns())
    with pytest.raises(ExclusiveCreateError):
        asyncio.run(DirectService(broken, starter, on_ready=lambda: None).run())
