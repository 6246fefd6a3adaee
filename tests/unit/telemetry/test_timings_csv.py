from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from airflow_provider_aiopt.telemetry.run_timings import build_run_timings
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts
from airflow_provider_aiopt.telemetry.timings_csv import task_csv


def rows(**report: Any) -> list[dict[str, str]]:
    facts = RunFacts(dag_id="dag", run_id="run", state="success", started_at=EPOCH, ended_at=EPOCH)
    task = TaskFacts(task_id="ingest", started_at=EPOCH, state="success")
    made = make_stage_report("ingest", task=make_task("ingest"), **report)
    text = task_csv(build_run_timings(facts, [task], [made], now=EPOCH))
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_task_is_a_line_with_its_segments() -> None:
    (row,) = rows(wall_s=3, wait_input_s=1, items_out=5)
    assert (row["Stage"], row["Task"], row["Map_index"], row["Items"]) == ("ingest", "ingest", "-1", "5")
    assert (row["Reading_s"], row["Computing_s"]) == ("1.0", "2.0")
    assert row["Started_at"] == "2026-01-01T00:00:00+00:00"


def test_what_is_not_known_is_empty() -> None:
    (row,) = rows()
    assert (row["Scheduled_at"], row["Queued_s"], row["Shard"]) == ("", "", "")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_is_a_formula(begin: str) -> None:
    shard = f'{begin}HYPERLINK("http://example.org";A1)'
    (row,) = rows(shard=shard, host=shard)
    assert row["Shard"] == row["Host"] == f"'{shard}"


def test_separators_within_a_name_make_no_further_cells() -> None:
    (row,) = rows(shard='a,"b"\nc')
    assert row["Shard"] == 'a,"b"\nc'
    assert None not in row
