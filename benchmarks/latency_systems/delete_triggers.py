"""Airflow's triggers that watch an asset's file, and delete it when they have seen it.

They wait for one file name that is known beforehand; the event does not say what was in the file.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.latency_systems.base import Site, System

_NAME = "object"
_BODY = """
from airflow.providers.standard.triggers.file import {trigger}

TRIGGER = {trigger}({arguments})
ASSET = Asset({name!r}, watchers=[AssetWatcher(name={name!r}, trigger=TRIGGER)])

with DAG({name!r}, schedule=[ASSET], catchup=False):
    first()
"""


class FileDeleteTrigger(System):
    """``FileDeleteTrigger`` at its default: it looks every five seconds."""

    name = "file_delete_trigger"
    waits_s = 5.0
    trigger: ClassVar[str] = "FileDeleteTrigger"
    arguments: ClassVar[str] = 'filepath=str(INBOX / "object")'

    def body(self, site: Site) -> str:  # noqa: ARG002  # the head of the DAG file has it
        """Return the DAG."""
        return _BODY.format(name=self.name, trigger=self.trigger, arguments=self.arguments)

    def object_name(self, number: int) -> str:  # noqa: ARG002  # the one that is watched
        """Return the one name."""
        return _NAME


class FileDeleteTriggerEverySecond(FileDeleteTrigger):
    """It looks every second."""

    name = "file_delete_trigger_1s"
    waits_s = 1.0
    arguments = FileDeleteTrigger.arguments + ", poke_interval=1"


class DirectoryFileDeleteTrigger(FileDeleteTrigger):
    """``DirectoryFileDeleteTrigger`` at its default: one listing every five seconds for all its siblings."""

    name = "directory_file_delete_trigger"
    trigger = "DirectoryFileDeleteTrigger"
    arguments = 'directory=str(INBOX), filename="object"'


class DirectoryFileDeleteTriggerEverySecond(DirectoryFileDeleteTrigger):
    """One listing every second."""

    name = "directory_file_delete_trigger_1s"
    waits_s = 1.0
    arguments = DirectoryFileDeleteTrigger.arguments + ", poke_interval=1"
