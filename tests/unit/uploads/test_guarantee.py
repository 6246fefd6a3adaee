"""Whatever happens, each upload that stays is offered until it is claimed, and claimed once."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import fsspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from upload_watching import Driver, Time

from airflow_provider_aiopt.uploads import Upload, load_watch_spec
from airflow_provider_aiopt.uploads.pruning import prune

NAMES = ("a.jpg", "b.jpg", "sub/c.jpg", ".hidden.jpg", "d.tmp")
TAKEN = {"a.jpg", "b.jpg", "sub/c.jpg"}
CONSUMERS = ("dag one", "dag two")


class LocalStore:
    """Files whose times differ, however fast they are written."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.uri = str(self.folder / "inbox")
        self.state = str(self.folder / "state")
        (self.folder / "inbox/sub").mkdir(parents=True)
        self._times = itertools.count(1)

    def write(self, name: str) -> None:
        path = Path(self.uri, name)
        path.write_bytes(b"content")
        os.utime(path, ns=(0, next(self._times)))

    def rename(self, name: str, target: str) -> None:
        Path(self.uri, name).replace(Path(self.uri, target))

    def delete(self, name: str) -> None:
        Path(self.uri, name).unlink()

    def names(self) -> set[str]:
        return {name for name in NAMES if Path(self.uri, name).exists()}

    def close(self) -> None:
        shutil.rmtree(self.folder)


class MemoryStore(LocalStore):
    """Objects of a store that is listed."""

    def __init__(self) -> None:
        super().__init__()
        self.uri = f"memory://guarantee{self.folder.name}"
        self._fs = fsspec.filesystem("memory")
        self._fs.makedirs(self.uri)

    def write(self, name: str) -> None:
        self._fs.pipe_file(f"{self.uri}/{name}", b"content")

    def rename(self, name: str, target: str) -> None:
        self._fs.mv(f"{self.uri}/{name}", f"{self.uri}/{target}")

    def delete(self, name: str) -> None:
        self._fs.rm_file(f"{self.uri}/{name}")

    def names(self) -> set[str]:
        return {name for name in NAMES if self._fs.exists(f"{self.uri}/{name}")}

    def close(self) -> None:
        super().close()
        self._fs.rm(self.uri, recursive=True)


class Uploads(RuleBasedStateMachine):
    """Two watchers and two consumers of one location, any of which may die at any time."""

    store_type: Any = LocalStore

    @initialize(before=st.sets(st.sampled_from(NAMES)), max_batch=st.integers(1, 3))
    def begin(self, before: set[str], max_batch: int) -> None:
        self.store = self.store_type()
        self.time = Time()
        self.runs = itertools.count()
        self.claims: list[tuple[str, str, str]] = []  # consumer, key, run
        self.old = before & TAKEN
        self.queue: list[list[Upload]] = []
        for name in sorted(before):
            self.store.write(name)
        spec = load_watch_spec(
            {
                "uri": self.store.uri,
                "state": self.store.state,
                "recursive": True,
                "poll_interval_s": 50,
                "rescan_s": 50,
                "reoffer_s": 200,
                "max_batch": max_batch,
            }
        )
        self.watchers = [Driver(spec, self.time) for _ in range(2)]
        self.watchers[0].run(0)

    @rule(name=st.sampled_from(NAMES))
    def write(self, name: str) -> None:
        self.store.write(name)
        self.old.discard(name)

    @rule(name=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def rename(self, name: str, new: str) -> None:
        if name in self.store.names() and name != new:
            self.store.rename(name, new)
            self.old -= {name, new}

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        if name in self.store.names():
            self.store.delete(name)

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([1, 60, 700]))
    def watch(self, number: int, seconds: float) -> None:
        self.queue.extend(self.watchers[number].run(seconds))

    @rule(number=st.integers(0, 1))
    def die(self, number: int) -> None:
        self.watchers[number].restart()

    @rule()
    def lose_events(self) -> None:
        self.queue.clear()

    @rule(consumer=st.sampled_from(CONSUMERS), killed_after=st.integers(0, 2))
    def consume(self, consumer: str, killed_after: int = 0) -> None:
        """Let a run take all that was offered, perhaps after a first attempt that was killed."""
        uploads = [upload for batch in self.queue for upload in batch]
        run = f"run {next(self.runs)}"
        store = self.watchers[0].state.claims
        store.claim(uploads[:killed_after], consumer, run)
        claimed = store.claim(uploads, consumer, run)
        self.claims.extend((consumer, upload.key, run) for upload in claimed.ours)

    @rule()
    def prune(self) -> None:
        prune(self.watchers[1].state.claims, before=self.time.wall - 100)

    @invariant()
    def nothing_is_claimed_twice(self) -> None:
        pairs = [(consumer, key) for consumer, key, _ in getattr(self, "claims", ())]
        assert len(pairs) == len(set(pairs))

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self.queue = []
            for _ in range(3):  # the longest wait between offers passes
                self.queue.extend(self.watchers[1].run(3700))
            for consumer in CONSUMERS:
                self.consume(consumer)
            self.nothing_is_claimed_twice()
            there = {
                sighting.uri: sighting.key
                for page in self.watchers[1].follower._location.pages()
                for sighting in page
            }
            by_anybody = {key for _, key, _ in self.claims}
            assert len(there) == len(TAKEN & self.store.names())
            for uri, key in there.items():
                name = next(name for name in TAKEN if uri.endswith(f"/{name}"))
                assert (key in by_anybody) != (name in self.old), f"{name}: lost, or an old one taken"
        finally:
            self.store.close()


class RemoteUploads(Uploads):
    store_type = MemoryStore


TestLocalFolder = Uploads.TestCase
TestLocalFolder.settings = settings(max_examples=25, stateful_step_count=25)
TestRemoteStore = RemoteUploads.TestCase
TestRemoteStore.settings = settings(max_examples=25, stateful_step_count=25)
