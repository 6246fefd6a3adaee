from __future__ import annotations

import pytest

from airflow_provider_aiopt.airflow.urls import run_timings_url


@pytest.mark.parametrize("base", ["https://host/prefix", "https://host/prefix/"])
def test_it_lies_below_the_base_url(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert run_timings_url("photos", "manual__1") == (
        "https://host/prefix/dags/photos/runs/manual__1/plugin/aiopt-run"
    )


def test_without_one_it_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    assert run_timings_url("a.b", "r").startswith("/dags/a.b/runs/r/")


def test_ids_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://h")
    url = run_timings_url("dag", "scheduled__2026-01-01T00:00:00+00:00/#?%")
    assert (
        url
        == "http://h/dags/dag/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00%2F%23%3F%25/plugin/aiopt-run"
    )
