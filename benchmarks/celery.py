"""How throughput grows from one Celery worker to two, each with a core of its own.

The services are those of ``docker-compose.yaml`` as processes.  One DAG sends its tasks to a queue that the
first worker alone serves, the other to one that both serve; otherwise they are the same, and take turns.
Everything else, from the scheduler to Prometheus, runs on the same cores, as on a machine of a user: what it
takes counts against the second worker.

Usage: ``python -m benchmarks.celery``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.celery_stack import (
    ALL,
    DAGS,
    ONE,
    LocalCompose,
    busy_span,
    outcome,
    pinned_workers,
    programs,
    records_of,
    workspace_of,
)
from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import ratio, spread
from benchmarks.photographs import photographs
from benchmarks.session import Session

LEAST_RATIO = 1.8
SHARDS = 8
_MOST_S = 600.0

# The profile low-latency has the scheduler look for work twenty times a second, and take a fifth of a core
# that the workers could use. Throughput does not need that: these are Airflow's defaults.
_SETTINGS = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
}

Answers = Mapping[str, Sequence[Mapping[str, Any]]]


def run_dag(stack: LocalCompose, dag_id: str, images: Path) -> dict[str, Any]:
    """Run a DAG over a folder of images and return what it took.

    :raises RuntimeError: if the run fails, or loses or repeats a record
    """
    run_id = stack.trigger(dag_id, {"source": str(images), "shards": SHARDS})
    state = stack.wait_for_run(dag_id, run_id, timeout=_MOST_S)
    names = [path.name for path in images.iterdir()]
    found = outcome(names, records_of(workspace_of(stack, dag_id, run_id)))
    if state != "success" or found.lost or found.duplicated:
        raise RuntimeError(f"{dag_id} ended as {state} with {found}")
    tasks = stack.task_instances(dag_id, run_id)
    run = stack.dag_run(dag_id, run_id)
    seconds = busy_span(tasks)
    return {
        "images_per_s": len(names) / seconds,
        "run_images_per_s": len(names) / run["duration"],
        "shards_by_worker": _shards_by_worker(tasks),
    }


def results(answers: Answers) -> dict[str, Any]:
    """Return the figures of one worker, of both, and their ratios."""
    figures: dict[str, Any] = {
        dag_id: {
            "images_per_s": spread([answer["images_per_s"] for answer in done]),
            "run_images_per_s": spread([answer["run_images_per_s"] for answer in done]),
            "shards_by_worker": [answer["shards_by_worker"] for answer in done],
        }
        for dag_id, done in answers.items()
    }
    for key in ("images_per_s", "run_images_per_s"):
        both, one = ([answer[key] for answer in answers[dag_id]] for dag_id in (ALL, ONE))
        figures[f"ratio_{key}"] = ratio(both, one)
    return figures


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return the ratio beside its target."""
    name = "images/s of two workers over one, first shard's start to last shard's end"
    return [Check(name, figures["ratio_images_per_s"]["median"], LEAST_RATIO)]


def _shards_by_worker(tasks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    hosts = [str(task["hostname"]) for task in tasks if task["map_index"] >= 0]
    return {host: hosts.count(host) for host in sorted(set(hosts))}


def _table(figures: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            *(f"{figures[dag_id]['images_per_s'][key]:.1f}" for key in ("median", "min", "max")),
            f"{figures[dag_id]['run_images_per_s']['median']:.1f}",
        )
        for name, dag_id in (("one worker", ONE), ("two workers", ALL))
    ]
    found = figures["ratio_images_per_s"]
    ratios = [f"{found[key]:.2f}" for key in ("median", "min", "max")]
    rows.append(("ratio", *ratios, f"{figures['ratio_run_images_per_s']['median']:.2f}"))
    return table("Celery", ("", "images/s", "min", "max", "of the whole run"), rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=4000).parse_args()
    session = Session.begin("celery", arguments)
    console = Console(stderr=True)
    images = photographs(arguments.images)

    def announce(number: int, dag_id: str, answer: Mapping[str, Any]) -> None:
        speed = f"{answer['images_per_s']:.1f} images/s"
        console.print(f"round {number}: {dag_id} {speed} {answer['shards_by_worker']}", highlight=False)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cores = sorted(os.sched_getaffinity(0))
        compose = stack.enter_context(
            LocalCompose(
                folder, programs(), dags_folder=DAGS, workers=pinned_workers(2, cores), env=_SETTINGS
            )
        )
        for dag_id in (ONE, ALL):
            compose.wait_for_dag(dag_id)
            compose.unpause(dag_id)
        answers = session.interleave(
            [ONE, ALL],
            lambda dag_id: run_dag(compose, dag_id, images),
            rounds=arguments.rounds,
            on_run=announce,
        )
    figures = results(answers)
    values = {"images": arguments.images, "shards": SHARDS, "settings": _SETTINGS, **figures}
    session.conclude(values, [_table(figures)], checks(figures))


if __name__ == "__main__":
    main()
