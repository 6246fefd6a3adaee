"""Failing at once where a retry cannot help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def no_vain_retries() -> Iterator[None]:
    """Turn this package's errors that would come again into one that makes Airflow skip the task's retries.

    :raises AirflowFailException: in place of an error whose ``retryable`` is False
    """
    from airflow_provider_aiopt.exceptions import AioptError

    try:
        yield
    except AioptError as error:
        if error.retryable:
            raise
        raise _fail_exception()(f"{type(error).__name__}: {error}") from error


def skip_exception() -> type[Exception]:
    """Return the exception that skips a task."""
    return _exception("AirflowSkipException")


def raised_by_airflow(error: Exception) -> bool:
    """Return whether *error* is one of Airflow's own about work that failed, not its way to end a task."""
    ends = (_exception("AirflowSkipException"), _exception("AirflowFailException"))
    return isinstance(error, _exception("AirflowException")) and not isinstance(error, ends)


def _fail_exception() -> type[Exception]:
    return _exception("AirflowFailException")


def _exception(name: str) -> type[Exception]:
    try:
        found: type[Exception] = getattr(import_module("airflow.sdk.exceptions"), name)
    except AttributeError:  # Airflow 3.1
        found = getattr(import_module("airflow.exceptions"), name)
    return found
