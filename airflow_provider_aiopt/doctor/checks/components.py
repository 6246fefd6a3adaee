"""Whether Airflow's components live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.health import AirflowHealth
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning

_HEALTHY = "healthy"
_EFFECTS = {
    "scheduler": ("no task is started", "airflow scheduler"),
    "dag_processor": ("new and changed DAGs are not seen", "airflow dag-processor"),
}


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    health = context.health.get()
    if isinstance(health, Skip):
        yield unreachable(health)
        return
    yield from judge(health)


def unreachable(reason: Skip) -> Finding | Skip:
    """Return an error where an Airflow was named, and a skip where none was."""
    if not reason.unanswered:
        return reason
    return error("API server", reason.reason, "Start: airflow api-server; or correct the URL")


def judge(health: AirflowHealth) -> Iterator[Finding]:
    """Judge what the API server says of the others."""
    if health.database == _HEALTHY:
        yield ok(health.url, f"answered in {health.answer_s * 1000:.0f} ms; the metadata database is healthy")
    else:
        yield error("metadata database", f"is {health.database}", "Look into the API server's log")
    for name, (effect, command) in _EFFECTS.items():
        component = health.components[name]
        if component.healthy:
            yield ok(name, _age(health, name))
        else:
            state = component.status or "never ran"
            yield error(name, f"{state} ({_age(health, name)}): {effect}", f"Start: {command}")


def _age(health: AirflowHealth, name: str) -> str:
    heartbeat = health.components[name].heartbeat
    if heartbeat is None:
        return "no heartbeat"
    return f"last heartbeat {max(0.0, health.asked_at - heartbeat.timestamp()):.0f} s ago"


def _run_triggerer(context: CheckContext) -> Iterator[Finding | Skip]:
    health, dags = context.health.get(), context.dags.get()
    if isinstance(health, Skip):
        yield health
        return
    yield from judge_triggerer(health, [] if isinstance(dags, Skip) else dags)


def judge_triggerer(health: AirflowHealth, dags: Sequence[DagFacts]) -> Iterator[Finding]:
    """Judge whether what waits in the triggerer is ever called back."""
    if health.components["triggerer"].healthy:
        yield ok("triggerer", _age(health, "triggerer"))
        return
    state = f"{health.components['triggerer'].status or 'never ran'} ({_age(health, 'triggerer')})"
    watching = sorted(dag.dag_id for dag in dags if dag.watches)
    if watching:
        yield error(
            "triggerer",
            f"{state}: nothing starts {', '.join(watching)}, which wait for events there",
            "Start: airflow triggerer",
        )
        return
    yield warning(
        "triggerer",
        f"{state}: a task that defers itself never goes on, and assets with watchers see nothing",
        "Start: airflow triggerer; ignore it where no task is deferrable",
    )


AIRFLOW = Check(
    "airflow",
    "whether Airflow's API server, scheduler, DAG processor and database live",
    "an API server that cannot be reached or refuses; a metadata database, scheduler or DAG processor that "
    "is not "
    "healthy, with the age of its last heartbeat",
    _run,
)
TRIGGERER = Check(
    "triggerer",
    "whether somebody calls deferred tasks back",
    "no living triggerer: an error where an active DAG's runs or tasks start from a trigger, as those of "
    "`NewUploadTrigger` do, else a warning",
    _run_triggerer,
)
