"""What a runner knows of profilers: when they are told of a stage, and what they are shown of it.

A run that is not profiled has no :class:`Probe` at all: nothing is wrapped, and the package ``profiling``,
which has the profilers, is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.folder import Folder
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.runtimes.base import ModelRuntime
    from airflow_provider_aiopt.spec.pipeline import PipelineSpec
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity


@dataclass(frozen=True, slots=True)
class ProfiledWork:
    """A piece of work that could be profiled.

    :param spec: the pipeline
    :param stages: the stages that it runs: one, or all of a stream
    :param workspace: the run's folder, which keeps the profiles
    :param shard: the shard worked on, None for several or none
    :param task: the Airflow task, None outside Airflow
    """

    spec: PipelineSpec
    stages: tuple[str, ...]
    workspace: Folder
    shard: str | None
    task: TaskIdentity | None


class Probe(AbstractContextManager[object], Protocol):
    """Watches a piece of work; a context manager around it, on the thread that drives it.

    Once the work has begun none of its methods raises.
    """

    @property
    def stage(self) -> str:
        """The stage whose report gets the account."""
        ...

    def runtime(self, runtime: ModelRuntime) -> ModelRuntime:
        """Return what the model is to be run with: *runtime*, or something around it."""
        ...

    def subjects(self, stage: str, *subjects: object) -> None:
        """Take note of what *stage* works with: its transform, its output head, the stage itself."""
        ...

    def finish(self) -> dict[str, JsonValue]:
        """Keep what was found and return the account, when the work's own clock has stopped."""
        ...


class Profiler(Protocol):
    """Makes the probes of a run."""

    def probe(self, work: ProfiledWork) -> Probe | None:
        """Return a probe that is ready to watch *work*, or None where it is not to be profiled.

        :raises ProfilingError: if it cannot be profiled as asked for
        """
        ...


def with_probe(context: RunContext, stages: Sequence[str], shard: str | None) -> RunContext:
    """Return *context* with the probe of a piece of work, where its profiler wants to watch it.

    :param context: the run
    :param stages: the stages that are about to run
    :param shard: the shard worked on, None for several or none
    :raises ProfilingError: if the work cannot be profiled as asked for; nothing of it has begun then
    """
    if context.profiler is None:
        return context
    work = ProfiledWork(context.spec, tuple(stages), context.workspace.root, shard, context.task)
    return replace(context, probe=context.profiler.probe(work))


def watching(probe: Probe | None) -> AbstractContextManager[object]:
    """Return what the work runs within."""
    return nullcontext() if probe is None else probe


def watched_runtime(probe: Probe | None, runtime: ModelRuntime) -> ModelRuntime:
    """Return what the model is to be run with."""
    return runtime if probe is None else probe.runtime(runtime)


def show_subjects(probe: Probe | None, stage: str, *subjects: object) -> None:
    """Show the probe what *stage* works with."""
    if probe is not None:
        probe.subjects(stage, *subjects)
