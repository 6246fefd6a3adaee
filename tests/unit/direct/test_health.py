from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider_aiopt.direct.health import Health, exposition, reply

WELL = Health(
    watching=True, pending=0, uploads=7, runs=3, duplicates=1, failures=2, latency_s=0.25, trouble=""
)


@pytest.mark.parametrize(
    ("health", "status", "said"),
    [
        (WELL, 200, "ok"),
        (replace(WELL, watching=False), 503, "failing"),
        (replace(WELL, trouble="Airflow is away", pending=4), 503, "failing"),
    ],
)
def test_it_is_well_where_uploads_become_runs(health: Health, status: int, said: str) -> None:
    answered, kind, text = reply("/health", health)
    assert (answered, kind) == (status, "application/json")
    values = json.loads(text)
    assert values["status"] == said
    assert (values["pending"], values["trouble"]) == (health.pending, health.trouble)


def test_every_number_is_exposed_to_prometheus() -> None:
    status, kind, text = reply("/metrics", WELL)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples == {
        "ai_pipeline_watch_uploads_total": "7",
        "ai_pipeline_watch_runs_total": "3",
        "ai_pipeline_watch_duplicates_total": "1",
        "ai_pipeline_watch_failures_total": "2",
        "ai_pipeline_watch_pending": "0",
        "ai_pipeline_watch_watching": "1",
        "ai_pipeline_watch_latency_seconds": "0.25",
    }


def test_a_latency_that_is_not_known_is_left_out() -> None:
    assert "latency" not in exposition(replace(WELL, latency_s=None))


def test_other_paths_say_what_there_is() -> None:
    status, _, text = reply("/", WELL)
    assert status == 404
    assert "/health and /metrics" in text
