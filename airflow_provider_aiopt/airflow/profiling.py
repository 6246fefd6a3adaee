"""The option ``profile`` of operators, and of the DAGs that hand it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_aiopt.runner.context import RunContext

PROFILE_OPTIONS: dict[str, Any] = {
    "profile": "{{ params.profile }}",
    "profile_stage": "{{ params.profile_stage }}",
}
"""Arguments of an operator that take both options from the DAG's params."""


def profile_params() -> dict[str, Any]:
    """Return the DAG params that :data:`PROFILE_OPTIONS` read."""
    from airflow.sdk import Param

    from airflow_provider_aiopt.spec.profile import NO_PROFILE, PROFILE_KINDS
    from airflow_provider_aiopt.telemetry.reports import STAGES

    return {
        "profile": Param(
            NO_PROFILE,
            type="string",
            enum=[NO_PROFILE, *PROFILE_KINDS],
            description="Profile the stages of this run; see profiles/ of its workspace",
        ),
        "profile_stage": Param(
            NO_PROFILE,
            type="string",
            enum=[NO_PROFILE, *STAGES],
            description="The only stage to profile; none: all of them",
        ),
    }


def with_profiler(
    run: RunContext, kind: str | None, stage: str | None = None, functions: Sequence[str] = ()
) -> RunContext:
    """Return *run* with the profiler that an operator asks for.

    :param run: the run
    :param kind: as the operator's ``profile``
    :param stage: as its ``profile_stage``
    :param functions: as its ``profile_functions``
    :raises ProfilingError: if there is no such profiler or stage
    """
    from airflow_provider_aiopt.spec.profile import NO_PROFILE

    if kind in {None, "", NO_PROFILE}:
        return run
    from airflow_provider_aiopt.profiling.profiler import make_profiler

    profiler = make_profiler(kind, stage, functions=functions, allowed_callables=run.allowed_callables)
    return replace(run, profiler=profiler)
