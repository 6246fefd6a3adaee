"""Watching a real folder with real file-system events and real time."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.uploads import ClaimStore, Upload, load_watch_spec, watch
from airflow_provider_aiopt.uploads.leases import is_closed

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def name_of(upload: Upload) -> str:
    return upload.uri.partition("/inbox/")[2]


def watched(
    inbox: Path, act: Callable[[], None], *names: str, extra_s: float = 0.0, **settings: Any
) -> list[Upload]:
    """Watch, act as soon as the watch is ready, and return what comes until *names* have come.

    :param extra_s: how much longer to watch for what should not come
    """
    values = {"uri": str(inbox), "state": str(inbox.parent / "state"), "recursive": True, **settings}

    async def main() -> list[Upload]:
        found: list[Upload] = []
        loop = asyncio.get_running_loop()
        failures: list[asyncio.Future[None]] = []
        batches = watch(
            load_watch_spec(values), on_ready=lambda: failures.append(loop.run_in_executor(None, act))
        )
        deadline = loop.time() + PATIENCE_S
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline) as limit:
                    async for batch in batches:
                        found.extend(batch)
                        if set(names) <= set(map(name_of, found)):
                            limit.reschedule(min(limit.when() or deadline, loop.time() + extra_s))
        finally:
            await batches.aclose()
            await asyncio.gather(*failures)
        return found

    return asyncio.run(main())


def test_events_find_files_however_they_come(inbox: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder/deep").mkdir(parents=True)
    (outside / "folder/deep/a.jpg").write_bytes(b"content")
    (outside / "moved.jpg").write_bytes(b"content")

    def act() -> None:
        (inbox / "written.jpg").write_bytes(b"content")
        (outside / "moved.jpg").rename(inbox / "moved.jpg")
        (outside / "folder").rename(inbox / "folder")
        (inbox / "new/sub").mkdir(parents=True)
        (inbox / "new/sub/b\n😀.jpg").write_bytes(b"content")
        (inbox / "new" / ("x" * 251 + ".jpg")).write_bytes(b"content")
        (inbox / "renamed.jpg.part").write_bytes(b"content")
        (inbox / "renamed.jpg.part").rename(inbox / "renamed.jpg")
        time.sleep(2)  # new folders are watched by now
        (inbox / "new/sub/later.jpg").write_bytes(b"content")

    names = [
        "written.jpg",
        "moved.jpg",
        "folder/deep/a.jpg",
        "new/sub/b\n😀.jpg",
        "new/" + "x" * 251 + ".jpg",
        "renamed.jpg",
        "new/sub/later.jpg",
    ]
    # Scans are far away: all of them are found by events.
    found = watched(inbox, act, *names, extra_s=1, rescan_s=3600)
    assert sorted(map(name_of, found)) == sorted(names), "each once, and nothing else"


def test_a_file_that_grows_is_offered_once_when_it_is_whole(inbox: Path) -> None:
    def act() -> None:
        with (inbox / "slow.bin").open("wb") as stream:
            for _ in range(40):
                stream.write(b"x" * 1000)
                stream.flush()
                time.sleep(0.1)

    (found,) = watched(inbox, act, "slow.bin", extra_s=2)
    assert found.size == 40_000


def test_a_file_written_in_pieces_is_offered_once_after_the_demanded_time(inbox: Path) -> None:
    def act() -> None:
        for _ in range(10):
            with (inbox / "slow.bin").open("ab") as stream:
                stream.write(b"x" * 1000)
            time.sleep(0.3)

    (found,) = watched(inbox, act, "slow.bin", extra_s=2, settle_s=1.5)
    assert found.size == 10_000


def test_a_file_that_is_gone_before_it_is_ready_is_no_upload(inbox: Path) -> None:
    def act() -> None:
        (inbox / "gone.jpg").write_bytes(b"content")
        time.sleep(0.3)
        (inbox / "gone.jpg").unlink()
        (inbox / "kept.jpg").write_bytes(b"content")

    found = watched(inbox, act, "kept.jpg", extra_s=1, settle_s=1)
    assert [name_of(upload) for upload in found] == ["kept.jpg"]


def test_the_folder_itself_may_be_replaced(inbox: Path, tmp_path: Path) -> None:
    def act() -> None:
        (tmp_path / "next").mkdir()
        (tmp_path / "next/a.jpg").write_bytes(b"content")
        inbox.rename(tmp_path / "before")
        (tmp_path / "next").rename(inbox)
        time.sleep(3)
        (inbox / "b.jpg").write_bytes(b"content")

    found = watched(inbox, act, "a.jpg", "b.jpg", rescan_s=3600)
    assert sorted(map(name_of, found)) == ["a.jpg", "b.jpg"]


def test_scans_find_what_no_event_tells_of(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import watchfiles

    def refused(*_: Any, **__: Any) -> Any:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", refused)
    found = watched(inbox, lambda: (inbox / "a.jpg").write_bytes(b"content"), "a.jpg", rescan_s=0.5)
    assert [name_of(upload) for upload in found] == ["a.jpg"]
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [("watch limit reached" in message, "max_user_watches" in message) for message in messages] == [
        (True, True)
    ]


def test_the_thread_of_events_ends_with_the_watch(inbox: Path) -> None:
    watched(inbox, lambda: (inbox / "a.jpg").write_bytes(b"content"), "a.jpg")
    deadline = time.monotonic() + 10
    while any(thread.name == "aiopt-upload-events" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the thread of events goes on"
        time.sleep(0.02)


def test_many_processes_claim_each_upload_once(inbox: Path) -> None:
    program = """
import sys
from airflow_provider_aiopt.uploads import ClaimStore, Upload
uploads = [Upload(f"file:///inbox/{n}", 1, "1", 0.0) for n in range(200)]
ours = ClaimStore.open(sys.argv[1], "0" * 16).claim(uploads, "dag", sys.argv[2]).ours
print(len(ours))
"""
    state = str(inbox.parent / "state")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, state, f"run {n}"], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    counts = [int(process.communicate(timeout=PATIENCE_S)[0]) for process in started]
    assert sum(counts) == 200
    runs = {claim.key: claim.run_id for claim in ClaimStore.open(state, "0" * 16).all("dag")}
    assert len(runs) == 200


def test_a_killed_claimer_leaves_no_half_claim(inbox: Path) -> None:
    program = """
import sys
from airflow_provider_aiopt.uploads import ClaimStore, Upload
uploads = [Upload(f"file:///inbox/{n}", 1, "1", 0.0) for n in range(5000)]
print("go", flush=True)
ClaimStore.open(sys.argv[1], "0" * 16).claim(uploads, "dag", "run")
"""
    state = str(inbox.parent / "state")
    process = subprocess.Popen([sys.executable, "-c", program, state], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = ClaimStore.open(state, "0" * 16)
    made = list(store.all("dag"))  # all of them can be read
    uploads = [Upload(f"file:///inbox/{n}", 1, "1", 0.0) for n in range(50)]
    assert store.claim(uploads, "dag", "run").ours == uploads, "the retry of the same run has them"
    assert all(claim.run_id == "run" for claim in made)


def test_a_writer_that_comes_while_the_lease_is_held_harms_nobody(tmp_path: Path) -> None:
    """Writers and askers race for a while; a lease that is broken would end the process by SIGIO."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    granted = is_closed(str(path))  # None where the file system has no leases
    program = f"""
import time
end = time.monotonic() + 3
while time.monotonic() < end:
    open({str(path)!r}, "ab").close()
"""
    writers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    answers = []
    while any(writer.poll() is None for writer in writers):
        answers.append(is_closed(str(path)))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert granted in answers
