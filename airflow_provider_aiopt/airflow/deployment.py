"""What ``airflow aiopt doctor`` reads of the Airflow that it is part of, beyond what the public API tells.

It is, beside the pages' ``records.py``, the only module that knows Airflow's tables: the API tells neither a
sensor's mode, nor for what a task waits, nor the database's clock.  Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import DoctorError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

if TYPE_CHECKING:
    from airflow_provider_aiopt.doctor.dags import DagFacts

_PART = 100
_INSPECT_S = 3.0
_TIME_QUERIES = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
    # A library within the process: its clock is this machine's.
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


class AirflowDeployment:
    """The Airflow that the process belongs to.

    Every method raises :class:`~airflow_provider_aiopt.exceptions.DoctorError` where it cannot be asked.
    """

    def pools(self) -> dict[str, AirflowPool]:
        """Return its pools by name."""
        from airflow.models.pool import Pool
        from sqlalchemy import select

        with _database() as session:
            rows = session.execute(select(Pool.pool, Pool.slots, Pool.include_deferred)).all()
        return {name: AirflowPool(name, slots, include_deferred) for name, slots, include_deferred in rows}

    def dags(self) -> Sequence[DagFacts]:
        """Return its DAGs that are neither paused nor stale, as they are serialized."""
        from airflow.models.dag import DagModel
        from sqlalchemy import select

        columns = (DagModel.dag_id, DagModel.max_active_runs, DagModel.max_active_tasks)
        chosen = select(*columns).where(DagModel.is_paused.is_(False), DagModel.is_stale.is_(False))
        with _database() as session:
            limits = {dag_id: (runs, tasks) for dag_id, runs, tasks in session.execute(chosen).all()}
            ids = sorted(limits)
            parts = [ids[start : start + _PART] for start in range(0, len(ids), _PART)]
            return [dag for part in parts for dag in _read_dags(session, part, limits)]

    def database_time(self) -> float:
        """Ask the metadata database for the time, in seconds since 1970."""
        from sqlalchemy import text

        with _database() as session:
            dialect = session.get_bind().dialect.name
            if dialect not in _TIME_QUERIES:
                raise DoctorError(f"how to ask {dialect} for the time is not known")
            return float(session.execute(text(_TIME_QUERIES[dialect])).scalar_one())

    def served_queues(self) -> frozenset[str]:
        """Return the queues that running Celery workers serve, by Celery's remote control."""
        try:
            from airflow.providers.celery.executors.celery_executor_utils import app
        except ImportError as error:
            raise DoctorError(f"Airflow's Celery provider cannot be imported: {error}") from error
        try:
            answers = app.control.inspect(timeout=_INSPECT_S).active_queues() or {}
        except Exception as error:  # each broker's driver raises errors of its own
            raise DoctorError(f"Celery's broker does not answer: {error}") from error
        return frozenset(queue["name"] for queues in answers.values() for queue in queues)


def _read_dags(
    session: Any, ids: list[str], limits: Mapping[str, tuple[int | None, int]]
) -> Iterator[DagFacts]:
    from airflow.models.serialized_dag import SerializedDagModel

    from airflow_provider_aiopt.doctor.dags import dag_from_serialized

    for item in SerializedDagModel.get_latest_serialized_dags(dag_ids=ids, session=session):
        runs, tasks = limits[item.dag_id]
        if item.data:
            yield dag_from_serialized(item.data, max_active_runs=runs, max_active_tasks=tasks)


@contextmanager
def _database() -> Iterator[Any]:
    """Open a session of the metadata database, whose errors become this package's."""
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            yield session
    except SQLAlchemyError as error:
        reason = str(error).partition("\n")[0]
        raise DoctorError(f"the metadata database cannot be read: {reason}") from error
