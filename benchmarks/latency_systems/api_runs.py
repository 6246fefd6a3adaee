"""Runs that are created through Airflow's API in the moment of the upload: nothing has to notice anything.

This is the floor of every service that watches by itself and creates runs so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.latency_systems.base import Site, System

if TYPE_CHECKING:
    from local_airflow import LocalAirflow

_EMPTY = """
with DAG({name!r}, schedule=None, catchup=False):
    first()
"""


class ApiRun(System):
    """A run with one empty task."""

    name = "api_run"

    def body(self, site: Site) -> str:  # noqa: ARG002  # the head of the DAG file has it
        """Return the DAG."""
        return _EMPTY.format(name=self.name)

    def upload(self, airflow: LocalAirflow, site: Site, number: int) -> float:
        """Upload the object and create its run."""
        at = super().upload(airflow, site, number)
        airflow.trigger(self.name, run_id=f"upload-{at:.6f}")
        return at
