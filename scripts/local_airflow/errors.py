"""What can go wrong with a local Airflow.

::

    LocalAirflowError (RuntimeError)
    ├── HomeInUseError            another process runs an Airflow in the same home
    ├── ComponentExitedError      a component ended although nobody had asked it to
    ├── DatabaseUnavailableError  the database server is not installed, or cannot be run by this user
    ├── StartError                it was not ready in time, or its database could not be made or migrated
    ├── DagUnavailableError       the DAG cannot be imported, or was not found in time
    ├── RunTimeoutError           a DAG run did not end in time
    └── ApiError                  the REST API refused a request or did not answer

Every message ends with the last lines of the log that explains it, where there is one.
"""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 25


class LocalAirflowError(RuntimeError):
    """Base class of the errors of a local Airflow."""


class HomeInUseError(LocalAirflowError):
    """Another process runs an Airflow in the same home."""


class ComponentExitedError(LocalAirflowError):
    """A component ended although nobody had asked it to.

    :param component: its name
    :param status: its exit code, or a negated signal number
    :param log: its log file
    """

    def __init__(self, component: str, status: int | None, log: Path) -> None:
        how = f"by signal {-status}" if status is not None and status < 0 else f"with exit code {status}"
        super().__init__(f"Airflow's {component} ended unexpectedly {how}.\n{tail(log)}")
        self.component = component
        self.status = status


class DatabaseUnavailableError(LocalAirflowError):
    """The database server is not installed, or cannot be run by this user."""


class StartError(LocalAirflowError):
    """Airflow did not become ready in time, or its database could not be made or migrated."""


class DagUnavailableError(LocalAirflowError):
    """The DAG cannot be imported, or was not found in time."""


class RunTimeoutError(LocalAirflowError):
    """A DAG run did not end in time."""


class ApiError(LocalAirflowError):
    """The REST API refused a request or did not answer.

    :param message: what was asked and what came back
    :param status: the HTTP status, None where no answer came
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return a heading and the last *lines* of *log*, ready to end a message with."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"Its log {log} cannot be read: {error.strerror}."
    if not text.strip():
        return f"Its log {log} is empty."
    return f"The last lines of {log}:\n" + "\n".join(text.splitlines()[-lines:])
