"""The pools beside what the templates' tasks need."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.configuration import aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import PoolState, compare_pools, wanted_pools
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

_UNLIMITED = -1


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    configuration = context.configuration.get()
    if isinstance(configuration, Skip):
        yield configuration
        return
    pools = context.pools.get()
    if isinstance(pools, Skip):
        yield pools
        return
    try:
        wanted = wanted_pools(ConcurrencyOptions.read(aiopt_options(configuration)))
    except ConfigurationError:
        yield Skip("the [aiopt] options are wrong: see the check 'limits'")
        return
    for state in compare_pools(wanted, pools):
        yield from judge(state)


def judge(state: PoolState) -> Iterator[Finding]:
    """Judge what there is of a pool beside what the templates' tasks need."""
    wanted, found = state.wanted, state.found
    subject = f"pool {wanted.name}"
    if found is None:
        evidence = "does not exist: Airflow never starts the tasks that are in it"
        sized = wanted.slots is not None
        remedy = "Run: aiopt setup" if sized else f"Set [aiopt] {wanted.option} and run: aiopt setup"
        yield error(subject, evidence, remedy)
    elif found.slots != _UNLIMITED and found.slots < wanted.task_slots:
        evidence = f"has {found.slots} slots, and a task takes {wanted.task_slots}: it waits for ever"
        yield error(subject, evidence, _remedy(state))
    elif state.state == "different":
        yield warning(subject, _difference(state, found), "Run: aiopt setup")
    else:
        yield ok(subject, f"has {found.slots} slots, and a task of the templates takes {wanted.task_slots}")


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


POOLS = Check(
    "pools",
    "the pools that the templates' tasks wait in",
    "pools that are missing, have fewer slots than one task takes, other slots than configured, or leave "
    "deferred tasks out",
    _run,
)
