"""What every way from an upload to a run has: folders, a DAG, and how to tell that its run has begun."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, ClassVar

from benchmarks.paths import PHOTOGRAPHS

if TYPE_CHECKING:
    from local_airflow import LocalAirflow

PHOTOGRAPH = PHOTOGRAPHS / "flower.jpg"
PAYLOAD = b"an object of no interest"
CATCHES_UP_S = 30.0

_DAG_HEAD = '''
import json
import os
import time
import urllib.parse
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

INBOX, RECORDS = Path({inbox!r}), Path({records!r})


def record(context):
    """Note when the first task's process reaches the task's own code."""
    began = time.time()
    path = RECORDS / (urllib.parse.quote(context["run_id"], safe="") + ".json")
    path.with_suffix(".partial").write_text(json.dumps({{"run_id": context["run_id"], "began": began}}))
    path.with_suffix(".partial").rename(path)


@task(pre_execute=record)
def first():
    """Only take the object away, as whoever consumes it would; else it would be found again."""
    for path in INBOX.glob("object*"):
        path.unlink(missing_ok=True)

'''


@dataclass(frozen=True)
class Site:
    """The folders of one system.

    :param inbox: where uploads appear
    :param records: where first tasks note their start
    :param workspaces: where pipelines work
    """

    inbox: Path
    records: Path
    workspaces: Path

    @classmethod
    def below(cls, folder: Path) -> Site:
        """Make the folders."""
        made = cls(folder / "inbox", folder / "records", folder / "workspaces")
        for path in (made.inbox, made.records, made.workspaces):
            path.mkdir(parents=True, exist_ok=True)
        return made


@dataclass(frozen=True)
class Begun:
    """A run whose first task has begun.

    :param run_id: the run
    :param at: when the task's own code began, in seconds since the epoch
    """

    run_id: str
    at: float


class System(ABC):
    """One way from an upload to the run that works on it.

    A system has a DAG of its own, named after it, and gets one upload at a time.

    :ivar name: its name in tables and files
    :ivar waits_s: how long it may wait by its own polling, in seconds
    :ivar payload: the file that is uploaded
    :ivar first_task_p95_s: what the p95 of upload to first task has to keep, by configuration
    :ivar results_p95_s: the same for upload to results
    :ivar sqlite_first_task_p95_s: what stands for *first_task_p95_s* where Airflow's database is SQLite
    """

    name: ClassVar[str]
    waits_s: ClassVar[float] = 0.0
    payload: ClassVar[Path | None] = None
    first_task_p95_s: ClassVar[Mapping[str, float]] = {}
    results_p95_s: ClassVar[Mapping[str, float]] = {}
    sqlite_first_task_p95_s: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def body(self, site: Site) -> str:
        """Return the DAG file's text after the imports, ``INBOX``, ``RECORDS``, ``record`` and ``first``."""

    def dag(self, site: Site) -> str:
        """Return the DAG file's text."""
        return _DAG_HEAD.format(inbox=str(site.inbox), records=str(site.records)) + dedent(self.body(site))

    def start(self, airflow: LocalAirflow, site: Site) -> None:  # noqa: B027  # only some have a service to start
        """Start what runs beside Airflow."""

    def stop(self) -> None:  # noqa: B027  # the same
        """Stop what :meth:`start` started."""

    def object_name(self, number: int) -> str:
        """Return the name of the *number*-th object in the inbox."""
        return f"object-{number}{self.payload.suffix if self.payload else ''}"

    def upload(self, airflow: LocalAirflow, site: Site, number: int) -> float:  # noqa: ARG002  # some announce it
        """Make the *number*-th object appear whole, and return when it did, in seconds since the epoch."""
        data = PAYLOAD if self.payload is None else self.payload.read_bytes()
        hidden = site.inbox.parent / "arriving"
        hidden.write_bytes(data)
        hidden.rename(site.inbox / self.object_name(number))
        return time.time()

    def begun(self, site: Site) -> Begun | None:
        """Return the run that has taken up the upload, None while there is none."""
        for path in site.records.glob("*.json"):
            found = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
            return Begun(found["run_id"], found["began"])
        return None

    def results(self, site: Site, run_id: str) -> Path | None:  # noqa: ARG002  # only pipelines have any
        """Return the file that a run's results appear as, None where the system makes none."""
        return None

    @property
    def patience_s(self) -> float:
        """How long to wait for the first task before the system counts as broken, in seconds."""
        return 2 * self.waits_s + CATCHES_UP_S
