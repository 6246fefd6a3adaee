"""The pools beside what the templates' tasks need."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.checks.base import Check, Deployment, Finding, Severity
from airflow_provider_aiopt.deployment.configuration import aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import PoolState, compare_pools, wanted_pools
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

_NAME = "pools"
_UNLIMITED = -1


def _run(deployment: Deployment) -> Iterator[Finding]:
    if deployment.pools is None:
        yield Finding(
            _NAME,
            deployment.no_pools_severity,
            "pools",
            f"not checked: {deployment.no_pools}",
            "Give --airflow-url, and a token or a user name and password",
        )
        return
    try:
        wanted = wanted_pools(ConcurrencyOptions.read(aiopt_options(deployment.configuration)))
    except ConfigurationError:
        return  # the limits' check says what is wrong with the options
    for state in compare_pools(wanted, deployment.pools):
        yield from _findings(state)


def _findings(state: PoolState) -> Iterator[Finding]:
    wanted, found = state.wanted, state.found
    subject = f"pool {wanted.name}"
    if found is None:
        evidence = "does not exist: Airflow never starts the tasks that are in it"
        sized = wanted.slots is not None
        remedy = "Run: aiopt setup" if sized else f"Set [aiopt] {wanted.option} and run: aiopt setup"
        yield Finding(_NAME, Severity.ERROR, subject, evidence, remedy)
        return
    if found.slots != _UNLIMITED and found.slots < wanted.task_slots:
        evidence = f"has {found.slots} slots, and a task takes {wanted.task_slots}: it waits for ever"
        yield Finding(_NAME, Severity.ERROR, subject, evidence, _remedy(state))
    elif state.state == "different":
        yield Finding(_NAME, Severity.WARNING, subject, _difference(state, found), "Run: aiopt setup")


def _remedy(state: PoolState) -> str:
    if state.state == "different":
        return "Run: aiopt setup"
    return f"Give it more slots, or set [aiopt] {state.wanted.option} and run: aiopt setup"


def _difference(state: PoolState, found: AirflowPool) -> str:
    parts = []
    if found.slots != state.wanted.slots:
        parts.append(f"has {found.slots} slots; [aiopt] {state.wanted.option} says {state.wanted.slots}")
    if not found.include_deferred:
        parts.append("does not count deferred tasks: more of them may run than it has slots")
    return ", and ".join(parts)


POOLS = Check(_NAME, "the pools that the templates' tasks wait in", _run)
