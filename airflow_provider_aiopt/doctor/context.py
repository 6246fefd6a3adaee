"""What the checks are given to look at."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.deployment.profiles import Profile
from airflow_provider_aiopt.doctor.models import Skip
from airflow_provider_aiopt.exceptions import AioptError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

if TYPE_CHECKING:
    from airflow_provider_aiopt.doctor.dags import DagFacts
    from airflow_provider_aiopt.doctor.health import AirflowHealth
    from airflow_provider_aiopt.doctor.probe import Probe

T = TypeVar("T")

_NO_AIRFLOW = "no Airflow is known: give --airflow-url, set AIOPT_AIRFLOW_URL, or use airflow aiopt doctor"
_ONLY_INSIDE = "only airflow aiopt doctor, on a machine of the deployment, can see it"


class Fact(Generic[T]):
    """Something that several checks want to know: found out once, by whichever asks first.

    :param find: finds it out; None where nobody can
    :param reason: why nobody can
    """

    def __init__(self, find: Callable[[], T] | None, reason: str = "") -> None:
        self._find = find
        self._reason = reason
        self._lock = threading.Lock()
        self._answer: list[T | Skip] = []

    @classmethod
    def of(cls, value: T) -> Fact[T]:
        """Return what is known already."""
        return cls(lambda: value)

    def get(self) -> T | Skip:
        """Return it, or why it is not known: an error of this package says so as well."""
        if self._find is None:
            return Skip(self._reason)
        with self._lock:
            if not self._answer:
                try:
                    self._answer.append(self._find())
                except AioptError as error:
                    self._answer.append(Skip(str(error), unanswered=True))
            return self._answer[0]


def unknown(reason: str) -> Fact[Any]:
    """Return a fact that nobody can find out."""
    return Fact(None, reason)


@dataclass(frozen=True)
class Addresses:
    """Where a user says that something is; None where it is to be found in Airflow's configuration.

    :param statsd: host and port of the StatsD server
    :param exporter: URL of statsd_exporter's page of metrics
    :param prometheus: URL of Prometheus
    :param source: folder or URL that pipelines read
    :param source_connection: Airflow connection for *source*
    :param source_options: fsspec's options for *source*
    :param work_dir: folder or URL of the runs' workspaces
    :param run: workspace of a run whose report says what a pipeline takes
    """

    statsd: tuple[str, int] | None = None
    exporter: str | None = None
    prometheus: str | None = None
    source: str | None = None
    source_connection: str | None = None
    source_options: Mapping[str, Any] = field(default_factory=dict)
    work_dir: str | None = None
    run: str | None = None


@dataclass(frozen=True)
class CheckContext:
    """What is known of an installation, and where the rest can be asked.

    :param configuration: Airflow's configuration
    :param health: what Airflow's components say of themselves
    :param pools: its pools by name
    :param dags: its active DAGs that are not paused
    :param database_time: asks the metadata database for the time, in seconds since 1970
    :param served_queues: the Celery queues that a worker serves
    :param probe: what a fresh process loads when it imports the runtimes
    :param profile: what to compare the configuration with; None for nothing
    :param addresses: where things are
    :param resolver: finds file systems
    :param environ: the environment's variables
    :param root: root of the file system with ``/proc``, ``/sys`` and ``/dev``
    """

    configuration: Fact[Configuration] = field(default_factory=lambda: unknown(_NO_AIRFLOW))
    health: Fact[AirflowHealth] = field(default_factory=lambda: unknown(_NO_AIRFLOW))
    pools: Fact[Mapping[str, AirflowPool]] = field(default_factory=lambda: unknown(_NO_AIRFLOW))
    dags: Fact[Sequence[DagFacts]] = field(default_factory=lambda: unknown(_NO_AIRFLOW))
    database_time: Fact[Callable[[], float]] = field(default_factory=lambda: unknown(_ONLY_INSIDE))
    served_queues: Fact[frozenset[str]] = field(default_factory=lambda: unknown(_ONLY_INSIDE))
    probe: Fact[Probe] = field(default_factory=lambda: unknown("no process was started"))
    profile: Profile | None = None
    addresses: Addresses = field(default_factory=Addresses)
    resolver: FileSystemResolver = resolve_filesystem
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: str = "/"
