"""Watching a folder of 100,000 files: how soon it is ready, what it costs idle, and what a burst does."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_aiopt.uploads import Upload, load_watch_spec, watch

_FOLDERS = 100
_IDLE_S = 20.0
_TICK_S = 0.01
_PATIENCE_S = 120.0
_WRITER = """
import sys
for number in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/{number % 100}/burst-{number}.jpg", "wb") as stream:
        stream.write(b"x" * 100)
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="files that are there before")
    parser.add_argument("--burst", type=int, default=10_000, help="files that come at once")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox")
        for number in range(_FOLDERS):
            (inbox / str(number)).mkdir(parents=True)
        for number in range(arguments.files):
            (inbox / str(number % _FOLDERS) / f"{number}.jpg").touch()
        asyncio.run(_measure(inbox, arguments.burst))
    return 0


async def _measure(inbox: Path, burst: int) -> None:
    spec = load_watch_spec(
        {"uri": str(inbox), "state": f"{inbox.parent}/state", "recursive": True, "max_batch": 1000}
    )
    ready = asyncio.Event()
    found: list[Upload] = []

    async def follow() -> None:
        async for batch in watch(spec, on_ready=ready.set):
            found.extend(batch)

    began, cpu = time.perf_counter(), time.process_time()
    with _stops() as stops:
        task = asyncio.create_task(follow())
        await ready.wait()
        print(f"ready after {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s CPU")
        await asyncio.sleep(_TICK_S)
    print(f"longest stop of the event loop until then: {max(stops):.3f} s")
    await asyncio.sleep(1)
    cpu = time.process_time()
    await asyncio.sleep(_IDLE_S)
    print(f"idle: {(time.process_time() - cpu) / _IDLE_S:.2%} of a core over {_IDLE_S:g} s")
    await _burst(inbox, burst, found)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _burst(inbox: Path, count: int, found: list[Upload]) -> None:
    memory, began, first = _resident_bytes(), time.perf_counter(), 0.0
    with _stops() as stops:
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(inbox), str(count)])
        while len(found) < count and time.perf_counter() - began < _PATIENCE_S:
            await asyncio.sleep(_TICK_S)
            if found and not first:
                first = time.perf_counter() - began
        took = time.perf_counter() - began
        await asyncio.to_thread(writer.wait)
    distinct = len({upload.key for upload in found})
    print(
        f"burst: {len(found)} of {count} offered, {distinct} distinct, in {took:.2f} s; "
        f"first after {first:.2f} s"
    )
    print(f"longest stop of the event loop: {max(stops):.3f} s")
    print(
        f"memory: {(_resident_bytes() - memory) / 2**20:+.0f} MiB, {_resident_bytes() / 2**20:.0f} MiB in all"
    )


@contextmanager
def _stops() -> Iterator[list[float]]:
    """Collect by how much the event loop is late at each tick."""
    late: list[float] = [0.0]

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            late.append(time.perf_counter() - began - _TICK_S)

    task = asyncio.create_task(tick())
    try:
        yield late
    finally:
        task.cancel()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


if __name__ == "__main__":
    sys.exit(main())
