"""Limits that let nothing run, or less than another limit promises."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.configuration import Configuration, aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import wanted_pools
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, note, ok
from airflow_provider_aiopt.exceptions import ConfigurationError

# Below one, tasks or runs wait for ever; Airflow says nothing.
_AT_LEAST_ONE = {
    ("core", "parallelism"): "no task is ever started",
    ("core", "max_active_tasks_per_dag"): "no task is ever started where the DAG does not say otherwise",
    ("core", "max_active_runs_per_dag"): "runs stay queued where the DAG does not say otherwise",
}


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    configuration = context.configuration.get()
    if isinstance(configuration, Skip):
        yield configuration
        return
    found = list(judge(configuration))
    yield from found
    if not found:
        names = [*_AT_LEAST_ONE, ("core", "max_map_length")]
        yield ok(
            "limits",
            ", ".join(f"[{section}] {key} {configuration.get(section, key)}" for section, key in names),
        )


def judge(configuration: Configuration) -> Iterator[Finding]:
    """Judge the limits of a configuration by themselves."""
    for (section, key), effect in _AT_LEAST_ONE.items():
        value = _number(configuration, section, key)
        if value is not None and value < 1:
            yield error(f"[{section}] {key}", f"{value}: {effect}", "Set it to 1 or more")
    try:
        options = ConcurrencyOptions.read(aiopt_options(configuration))
        wanted_pools(options)
    except ConfigurationError as fault:
        yield error("[aiopt]", str(fault), "Correct it: until then the templates are import errors")
        return
    yield from _mapping(configuration, options)
    yield from _shards(configuration, options)


def _mapping(configuration: Configuration, options: ConcurrencyOptions) -> Iterator[Finding]:
    limit = _number(configuration, "core", "max_map_length")
    if limit is not None and options.max_shards > limit:
        yield error(
            "[aiopt] max_shards",
            f"{options.max_shards}, but [core] max_map_length lets a task be mapped {limit} times: runs of "
            "more shards fail",
            f"Lower [aiopt] max_shards to {limit}, or raise [core] max_map_length",
        )


def _shards(configuration: Configuration, options: ConcurrencyOptions) -> Iterator[Finding]:
    limits = {"[core] parallelism": _number(configuration, "core", "parallelism")}
    if options.max_active_tasks:
        limits["[aiopt] max_active_tasks"] = options.max_active_tasks
    else:
        key = "max_active_tasks_per_dag"
        limits[f"[core] {key}"] = _number(configuration, "core", key)
    for name, limit in limits.items():
        if limit is not None and 1 <= limit < options.shards:
            yield note(
                "[aiopt] shards",
                f"{options.shards}, but {name} lets {limit} tasks of a run be active: the others wait",
                f"Lower [aiopt] shards to {limit}, or raise {name}",
            )


def _number(configuration: Configuration, section: str, key: str) -> int | None:
    text = configuration.get(section, key)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None  # Airflow itself refuses to start with it


LIMITS = Check(
    "limits",
    "limits that contradict each other, or let nothing run",
    "`parallelism`, `max_active_runs` or `max_active_tasks` below 1, with which runs or tasks wait for ever; "
    "options that contradict each other; `max_shards` above `[core] max_map_length`; more shards than may be "
    "active",
    _run,
)
