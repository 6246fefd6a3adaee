"""What ``airflow aiopt doctor`` reads of the Airflow that it is part of, beyond what the public API tells.

It is, beside the pages' ``records.py``, the only module that knows Airflow's tables: the API tells neither a
sensor's mode, nor for what a task waits, nor the database's clock.  Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

        rows = self._rows(select(Pool.pool, Pool.slots, Pool.include_deferred))
        return {name: AirflowPool(name, slots, include_deferred) for name, slots, include_deferred in rows}

    def dags(self) -> Sequence[DagFacts]:
        """Return its DAGs that are neither paused nor stale, as they are serialized."""
        from airflow.models.dag import DagModel
        from sqlalchemy import select

        chosen = select(DagModel.dag_id, DagModel.max_active_runs, DagModel.max_active_tasks).where(
            DagModel.is_paused.is_(False), DagModel.is_stale.is_(False)
        )
        rows = {row[0]: (row[1], row[2]) for row in self._rows(chosen)}
        ids = sorted(rows)
        return [
            dag for start in range(0, len(ids), _PART) for dag in self._part(ids[start : start + _PART], rows)
        ]

    def _part(self, ids: list[str], rows: dict[str, tuple[int | None, int]]) -> Iterable[DagFacts]:
        from airflow.models.serialized_dag import SerializedDagModel
        from sqlalchemy.exc import SQLAlchemyError

        from airflow_provider_aiopt.doctor.dags import dag_from_serialized

        try:
            found = SerializedDagModel.get_latest_serialized_dags(dag_ids=ids)
            for item in found:
                runs, tasks = rows[item.dag_id]
                if item.data:
                    yield dag_from_serialized(item.data, max_active_runs=runs, max_active_tasks=tasks)
        except SQLAlchemyError as error:
            raise _unreadable(error) from error

    def database_time(self) -> float:
        """Ask the metadata database for the time, in seconds since 1970."""
        from airflow.utils.session import create_session
        from sqlalchemy import text

        with create_session() as session:
            dialect = session.get_bind().dialect.name
        return float(self._rows(text(_TIME_QUERIES[dialect]))[0][0])

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

    def _rows(self, query: Any) -> list[Any]:
        from airflow.utils.session import create_session
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with create_session() as session:
                return list(session.execute(query).all())
        except SQLAlchemyError as error:
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> DoctorError:
    reason = str(error).partition("\n")[0]
    return DoctorError(f"the metadata database cannot be read: {reason}")
