from __future__ import annotations

import pytest

from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.calls import Calls, calls_at_once
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.spec import load_spec


@pytest.mark.parametrize(
    ("workers", "threads", "batches", "calls"),
    [
        (4, None, 100, Calls(lanes=4, threads=1)),
        (4, None, 2, Calls(lanes=2, threads=2)),  # fewer batches than workers: each gets more
        (4, None, 3, Calls(lanes=3, threads=1)),
        (4, None, 1, Calls(lanes=1, threads=4)),
        (4, None, 0, Calls(lanes=1, threads=4)),
        (4, 2, 100, Calls(lanes=2, threads=2)),
        (4, 8, 100, Calls(lanes=1, threads=8)),
        (1, None, 100, Calls(lanes=1, threads=1)),
    ],
)
def test_calls_share_the_workers(workers: int, threads: int | None, batches: int, calls: Calls) -> None:
    spec = load_spec(
        {
            "source": {"uri": "data"},
            "model": {"uri": "m", "threads": threads},
            "execution": {"workers": workers},
        }
    )
    assert calls_at_once(RunContext(spec=spec, workspace=Workspace.open("work")), batches) == calls
