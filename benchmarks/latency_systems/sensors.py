"""Airflow's ``FileSensor``.

A sensor waits within a run, so there must always be one.  The usual way is ``schedule="@continuous"``: the
scheduler creates the next run as soon as one has ended.  The first task then has to take the file away.
Without a ``start_date``, Airflow 3.3.2 creates the second run only when the DAG file is parsed again.
"""

from __future__ import annotations

from benchmarks.latency_systems.base import Site, System

_BODY = """
from datetime import datetime
from airflow.providers.standard.sensors.filesystem import FileSensor

ONE_AT_A_TIME = {{"max_active_runs": 1, "catchup": False}}

with DAG({name!r}, schedule="@continuous", start_date=datetime(2026, 1, 1), **ONE_AT_A_TIME):
    FileSensor(task_id="wait", filepath=str(INBOX / "object*"), {options}) >> first()
"""


class FileSensor(System):
    """At its default: it holds a worker and looks once a minute."""

    name = "file_sensor"
    waits_s = 60.0
    options = ""

    def body(self, site: Site) -> str:  # noqa: ARG002  # the head of the DAG file has it
        """Return the DAG."""
        return _BODY.format(name=self.name, options=self.options)


class FileSensorEverySecond(FileSensor):
    """It holds a worker and looks every second."""

    name = "file_sensor_1s"
    waits_s = 1.0
    options = "poke_interval=1"


class DeferrableFileSensor(FileSensor):
    """Waits in the triggerer, and by default looks once a minute, too."""

    name = "deferrable_file_sensor"
    options = "deferrable=True"


class DeferrableFileSensorEverySecond(FileSensor):
    """Waits in the triggerer and looks every second."""

    name = "deferrable_file_sensor_1s"
    waits_s = 1.0
    options = "deferrable=True, poke_interval=1"
