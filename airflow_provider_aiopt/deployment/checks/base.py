"""What a check is given and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.deployment.profiles import Profile
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Tasks will not run."""

    WARNING = "warning"
    """It works, but not as it should, or it could not be checked."""

    NOTE = "note"
    """Worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    :param check: the check's name
    :param severity: how bad it is
    :param subject: what it is about, for example an option or a pool
    :param evidence: what was found
    :param remedy: what to do
    """

    check: str
    severity: Severity
    subject: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is known of an Airflow.

    :param configuration: its configuration
    :param pools: its pools by name; None where they could not be read
    :param no_pools: why they could not
    :param no_pools_severity: how bad that is
    :param profile: what to compare it with; None for nothing
    """

    configuration: Configuration
    pools: Mapping[str, AirflowPool] | None = None
    no_pools: str = ""
    no_pools_severity: Severity = Severity.NOTE
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    :param name: its name
    :param help: what it looks at, in one line
    :param run: gives its findings on a deployment
    """

    name: str
    help: str
    run: Callable[[Deployment], Iterable[Finding]]
