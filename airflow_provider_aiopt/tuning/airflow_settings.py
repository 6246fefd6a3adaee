"""The options of Airflow that go with a tuned spec: how many of its tasks one machine may run at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.models import AirflowSetting
from airflow_provider_aiopt.tuning.space import Machine, threads_at_once

POOL = "aiopt_inference"
"""The pool that is recommended for inference and streaming tasks."""

_MEMORY_SHARE = 0.8
"""Of a machine's memory that pipelines may take: the rest is Airflow's, and the page cache's."""

_OTHERS = 2
"""Active tasks besides those in the pool: a run's plan, and a task that waits for the pool."""


def tasks_at_once(spec: PipelineSpec, machine: Machine, peak_memory_bytes: int) -> tuple[int, str]:
    """Return how many tasks of a pipeline one machine runs at once, and why so many.

    A tuned task fills the cores by itself; a second one beside it would only take them from the first.

    :param spec: the pipeline, tuned
    :param machine: what it was tuned on
    :param peak_memory_bytes: what a task takes at most; 0 where that is not known
    """
    if machine.device:
        slots, why = 1, "one task at once keeps the device busy"
    else:
        threads = threads_at_once({}, spec, machine)
        slots = max(1, machine.cores // threads)
        why = f"a task computes on {threads} threads, and there are {machine.cores} cores"
    if machine.memory_bytes and peak_memory_bytes:
        fitting = max(1, int(_MEMORY_SHARE * machine.memory_bytes) // peak_memory_bytes)
        if fitting < slots:
            slots = fitting
            why = f"a task takes up to {peak_memory_bytes / 2**20:.0f} MiB, and {fitting} fit the memory"
    return slots, why


def airflow_settings(
    spec: PipelineSpec, machine: Machine, peak_memory_bytes: int
) -> tuple[AirflowSetting, ...]:
    """Return the options for an Airflow with one worker machine of this kind.

    :param spec: the pipeline, tuned
    :param machine: what it was tuned on
    :param peak_memory_bytes: what a task takes at most
    """
    slots, why = tasks_at_once(spec, machine, peak_memory_bytes)
    active = slots + _OTHERS
    pool = "gpu_pool_slots" if machine.device else "inference_pool_slots"
    settings = [
        ("aiopt", pool, str(slots), f"{why}; times the number of such machines"),
        ("aiopt", "max_active_tasks", str(active), "those, a run's plan, and one that waits for the pool"),
        ("core", "parallelism", str(max(active, machine.cores + _OTHERS)), "room for all of these at least"),
        ("aiopt", "shards", str(spec.execution.shards), "of the DAG templates' runs, as the spec has it"),
    ]
    if not machine.device:
        settings.insert(0, ("aiopt", "inference_pool", POOL, "a pool of its own; aiopt setup makes it"))
    return tuple(AirflowSetting(section=s, key=k, value=v, why=w) for s, k, v, w in settings)


def as_cfg(settings: Iterable[AirflowSetting]) -> str:
    """Render options as a part of ``airflow.cfg``.

    :param settings: in any order
    """
    lines: list[str] = []
    ordered = sorted(settings, key=lambda item: item.section)
    for section, items in groupby(ordered, key=lambda item: item.section):
        lines += [f"[{section}]"]
        for item in items:
            lines += [f"# {item.why}", f"{item.key} = {item.value.replace('%', '%%')}"]
    return "\n".join(lines) + "\n"


def as_environment(settings: Sequence[AirflowSetting]) -> str:
    """Render options as lines of an environment file.

    :param settings: in any order
    """
    return "".join(f"{item.variable}={item.value}\n" for item in settings)
