"""A sick pipeline: what is planted, how it is run, and which rule ought to find it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.telemetry.reports import RunReport


class Patient(AbstractContextManager["Patient"], ABC):
    """A pipeline that can be run as it is, and with changes.

    A context manager: what it needs beside the runs, as a server or an Airflow, lives as long as the block.
    """

    @abstractmethod
    def run(self, changes: Sequence[Change] = ()) -> RunReport:
        """Run it and return its report.

        :param changes: what the advisor recommended; none for the sick run
        """


@dataclass(frozen=True)
class Illness(ABC):
    """One planted cause.

    :param name: its name in tables and files
    :param rule: the advisor's rule that ought to find it
    :param planted: what is wrong, for people
    """

    name: str
    rule: str
    planted: str

    @abstractmethod
    def patient(self, folder: Path) -> Patient:
        """Return the pipeline.

        :param folder: an empty folder for all that it makes
        """
