"""Limits that let nothing run, or less than another limit promises."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.checks.base import Check, Deployment, Finding, Severity
from airflow_provider_aiopt.deployment.configuration import aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import wanted_pools
from airflow_provider_aiopt.exceptions import ConfigurationError

_NAME = "limits"

# Below one, tasks or runs wait for ever; Airflow says nothing.
_AT_LEAST_ONE = {
    ("core", "parallelism"): "no task is ever started",
    ("core", "max_active_tasks_per_dag"): "no task is ever started where the DAG does not say otherwise",
    ("core", "max_active_runs_per_dag"): "runs stay queued where the DAG does not say otherwise",
}


def _run(deployment: Deployment) -> Iterator[Finding]:
    for (section, key), effect in _AT_LEAST_ONE.items():
        value = _number(deployment, section, key)
        if value is not None and value < 1:
            yield Finding(
                _NAME, Severity.ERROR, f"[{section}] {key}", f"{value}: {effect}", "Set it to 1 or more"
            )
    try:
        options = ConcurrencyOptions.read(aiopt_options(deployment.configuration))
        wanted_pools(options)
    except ConfigurationError as error:
        remedy = "Correct it: until then the templates are import errors"
        yield Finding(_NAME, Severity.ERROR, "[aiopt]", str(error), remedy)
        return
    yield from _mapping(deployment, options)
    yield from _shards(deployment, options)


def _mapping(deployment: Deployment, options: ConcurrencyOptions) -> Iterator[Finding]:
    limit = _number(deployment, "core", "max_map_length")
    if limit is not None and options.max_shards > limit:
        yield Finding(
            _NAME,
            Severity.ERROR,
            "[aiopt] max_shards",
            f"{options.max_shards}, but [core] max_map_length lets a task be mapped {limit} times: runs of "
            "more shards fail",
            f"Lower [aiopt] max_shards to {limit}, or raise [core] max_map_length",
        )


def _shards(deployment: Deployment, options: ConcurrencyOptions) -> Iterator[Finding]:
    limits = {"[core] parallelism": _number(deployment, "core", "parallelism")}
    if options.max_active_tasks:
        limits["[aiopt] max_active_tasks"] = options.max_active_tasks
    else:
        key = "max_active_tasks_per_dag"
        limits[f"[core] {key}"] = _number(deployment, "core", key)
    for name, limit in limits.items():
        if limit is not None and 1 <= limit < options.shards:
            yield Finding(
                _NAME,
                Severity.NOTE,
                "[aiopt] shards",
                f"{options.shards}, but {name} lets {limit} tasks of a run be active: the others wait",
                f"Lower [aiopt] shards to {limit}, or raise {name}",
            )


def _number(deployment: Deployment, section: str, key: str) -> int | None:
    text = deployment.configuration.get(section, key)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None  # Airflow itself refuses to start with it


LIMITS = Check(_NAME, "limits that contradict each other, or let nothing run", _run)
