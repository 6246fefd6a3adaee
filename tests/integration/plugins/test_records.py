"""How the plugin's queries find their rows, in a real SQLite."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from airflow_provider_aiopt.plugins.records import AirflowRecords

pytestmark = pytest.mark.integration


def test_xcoms_are_found_by_their_run() -> None:
    """An index over keys alone would lead to every report that there ever was."""
    asked: list[tuple[str, Any]] = []
    with create_engine("sqlite://").connect() as connection, Session(connection) as session:
        XComModel.__table__.create(connection)
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _connection, _cursor, text, values, *_: asked.append((text, values)),
        )
        records = AirflowRecords(session)
        records.reports([1, 2])
        records.report_counts([1, 2])
        records.hardware(1, "task", 0, limit=1)
        plans = [
            " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values))
            for text, values in tuple(asked)
        ]
    assert len(plans) == 3
    assert all("sqlite_autoindex_xcom_1 (dag_run_id=?" in plan for plan in plans), plans
