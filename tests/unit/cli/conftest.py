from __future__ import annotations

import pytest
from deployments import DECLARED, FakeAirflow

from airflow_provider_aiopt.telemetry import airflow_api


@pytest.fixture
def fake_airflow(monkeypatch: pytest.MonkeyPatch) -> FakeAirflow:
    """An Airflow that ``--airflow-url`` leads to, whatever it is."""
    for name in ("URL", "TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"AIOPT_AIRFLOW_{name}", raising=False)
    for name in DECLARED:
        monkeypatch.delenv(f"AIRFLOW__AIOPT__{name.upper()}", raising=False)
    airflow = FakeAirflow()
    monkeypatch.setattr(airflow_api, "AirflowApi", airflow)
    return airflow
