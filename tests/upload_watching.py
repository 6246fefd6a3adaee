"""Watches of uploads in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_aiopt.uploads import Clocks, Upload, UploadState, UploadWatchSpec, open_state
from airflow_provider_aiopt.uploads.follower import Follower
from airflow_provider_aiopt.uploads.watching import open_location

_MOST_TURNS = 200  # that a watch may have work for without any time passing


@dataclass
class Time:
    """Two clocks that a test turns."""

    now: float = 1000.0
    wall: float = 1_795_000_000.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now, lambda: self.wall)


@dataclass
class Driver:
    """Drives a follower through virtual time and collects what it offers."""

    spec: UploadWatchSpec
    time: Time
    state: UploadState = field(init=False)
    follower: Follower = field(init=False)
    offered: list[list[Upload]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin as a new process does."""
        self.state = open_state(self.spec, clock=lambda: self.time.wall)
        self.follower = Follower(self.spec, open_location(self.spec), self.state, self.time.clocks())

    def run(self, seconds: float) -> list[list[Upload]]:
        """Let time pass and return what was offered meanwhile."""
        end, before, turns = self.time.now + seconds, len(self.offered), 0
        while True:
            self.follower.turn()
            while batch := self.follower.batch():
                self.offered.append(batch)
            due = self.follower.due_at()
            if due > end:
                self.time.wall += end - self.time.now
                self.time.now = end
                return self.offered[before:]
            step = max(due - self.time.now, 0.0)
            turns = 0 if step else turns + 1
            assert turns < _MOST_TURNS, "it turns without end"
            self.time.now += step
            self.time.wall += step

    def names(self, seconds: float) -> list[str]:
        """Let time pass and return the names of what was offered meanwhile, sorted."""
        uploads = [upload for batch in self.run(seconds) for upload in batch]
        return sorted(upload.uri.rsplit("/", 1)[-1] for upload in uploads)


def make_upload(name: str = "a.jpg", version: str = "1", size: int = 5) -> Upload:
    """Make an upload of a bucket."""
    return Upload(f"s3://bucket/{name}", size, version, 0.0)
