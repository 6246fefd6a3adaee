"""Queues that no worker serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from airflow_provider_aiopt.deployment.configuration import Configuration, aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok
from airflow_provider_aiopt.exceptions import ConfigurationError

_CELERY = "CeleryExecutor"
_DEFAULT_QUEUE = "default"
_SHOWN = 3


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    configuration = context.configuration.get()
    if isinstance(configuration, Skip):
        yield configuration
        return
    if _CELERY not in (configuration.get("core", "executor") or ""):
        yield Skip("only the CeleryExecutor has queues that workers choose")
        return
    dags, served = context.dags.get(), context.served_queues.get()
    if isinstance(served, Skip):
        yield served
        return
    yield from judge([] if isinstance(dags, Skip) else dags, configuration, served)


def judge(
    dags: Sequence[DagFacts], configuration: Configuration, served: frozenset[str]
) -> Iterator[Finding]:
    """Compare the queues that tasks are put into with those that workers serve."""
    default = configuration.get("operators", "default_queue") or _DEFAULT_QUEUE
    users: dict[str, list[str]] = defaultdict(list)
    for dag in dags:
        for task in dag.tasks:
            users[task.queue or default].append(f"{dag.dag_id}.{task.task_id}")
    if gpu_queue := _gpu_queue(configuration):
        users[gpu_queue].append("[aiopt] gpu_queue")
    found = [
        error(
            f"queue {queue}",
            f"no worker serves it, and {len(tasks)} tasks go there: {', '.join(sorted(tasks)[:_SHOWN])}; "
            "workers "
            f"serve {', '.join(sorted(served)) or 'nothing'}",
            f"Start: airflow celery worker --queues {queue}; or change the tasks' queue",
        )
        for queue, tasks in sorted(users.items())
        if queue not in served
    ]
    yield from found
    if not found:
        yield ok("queues", f"workers serve {', '.join(sorted(served))}: all {len(users)} that tasks go to")


def _gpu_queue(configuration: Configuration) -> str | None:
    """Return the queue of the templates' inference; without GPUs none goes to ``gpu_queue``."""
    try:
        return ConcurrencyOptions.read(aiopt_options(configuration)).inference_tasks.queue
    except ConfigurationError:
        return None  # the limits' check says what is wrong with the options


QUEUES = Check(
    "queues",
    "the queues that Celery workers serve",
    "queues of tasks, or `[aiopt] gpu_queue` where there are GPUs, that no running worker serves: what "
    "goes there waits for "
    "ever. The "
    "workers are asked by Celery's own remote control",
    _run,
)
