"""The service behind ``aiopt watch``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.direct.starter import RunStarter, backoff_s
from airflow_provider_aiopt.exceptions import StorageError

Watch = Callable[[Callable[[], None]], AsyncGenerator[list[Upload]]]

log = logging.getLogger(__name__)

_SIDE_BY_SIDE = 4  # batches that are written down and claimed at once
_ADOPT_S = 30.0


class DirectService:
    """Starts runs for the batches of a watch until it is told to stop.

    :param watch: begins the watch and returns its batches; it is given what to call once every upload from
        then on is sure to be seen
    :param starter: makes runs of them
    """

    def __init__(self, watch: Watch, starter: RunStarter, *, on_ready: Callable[[], None]) -> None:
        self.pending = 0
        self.watching = False
        self._watch = watch
        self._on_ready = on_ready
        self._starter = starter
        self._stop = asyncio.Event()
        self._failed = asyncio.Event()
        self._starting: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="aiopt-runs")

    def stop(self) -> None:
        """End :meth:`run` when the runs under way are created; what is pending stays on storage.

        To be called on the event loop that :meth:`run` is on.
        """
        self._stop.set()

    async def run(self) -> None:
        """Watch and start runs until :meth:`stop` is called.

        :raises AioptError: if the watch cannot be made at all
        """
        tasks = [asyncio.create_task(work) for work in (self._start_runs(), self._adopt(), self._stop.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.watching = False
            self._starter.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._threads.shutdown, wait=True)

    def _ready(self) -> None:
        self.watching = True
        self._on_ready()

    async def _start_runs(self) -> None:
        places = asyncio.Semaphore(_SIDE_BY_SIDE)
        async with aclosing(self._watch(self._ready)) as batches:
            async for batch in batches:
                await places.acquire()
                # No task group: it would wrap what ends the watch.
                task = asyncio.create_task(self._start(batch, places))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)

    async def _start(self, batch: list[Upload], places: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        try:
            if not await loop.run_in_executor(self._threads, self._starter.start, batch):
                self._failed.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, the uploads are offered again
            log.warning("No run was started for %d uploads: %s: %s", len(batch), type(error).__name__, error)
        finally:
            places.release()

    async def _adopt(self) -> None:
        """Finish what is pending: at once what was left behind, later with growing pauses."""
        failures = 0
        while True:
            self._failed.clear()
            try:
                self.pending = await asyncio.to_thread(self._starter.resume)
            except StorageError as error:
                log.warning("%s", error)
                self.pending = max(1, self.pending)
            failures = failures + 1 if self.pending else 0
            if failures:
                await asyncio.sleep(backoff_s(failures))
                continue
            # Not wait_for, which loses a cancellation that comes with the event (Python 3.11).
            with suppress(TimeoutError):
                async with asyncio.timeout(_ADOPT_S):
                    await self._failed.wait()
