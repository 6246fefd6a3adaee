from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.cli import watch as module
from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.direct.starter import RunStarter
from airflow_provider_aiopt.exceptions import ExclusiveCreateError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec, load_watch_spec

URL = ("--airflow-url", "http://airflow")
DAG = ("--dag-id", "photos")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIOPT_AIRFLOW_URL", "AIRFLOW__AIOPT__UPLOADS_DIR", "AIRFLOW__AIOPT__WORK_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UploadWatchSpec, str]]:
    """What would be served, instead of serving."""
    found = []

    async def serve(_: argparse.Namespace, spec: UploadWatchSpec, url: str) -> None:
        found.append((spec, url))

    monkeypatch.setattr(module, "_serve", serve)
    return found


def test_the_options_are_the_watchs(served: list[tuple[UploadWatchSpec, str]]) -> None:
    options = "--recursive --window 0.5 --max-batch 1 --settle 2 --min-age 3 --poll-interval 4"
    arguments = [*options.split(), "--pattern", "*.jpg", "--pattern", "*.png", "--existing", "offer"]
    assert main(["watch", "s3://bucket", *DAG, *URL, *arguments, "--uploads-dir", "s3://state"]) == 0
    expected = {
        "uri": "s3://bucket",
        "pattern": ["*.jpg", "*.png"],
        "recursive": True,
        "window_s": 0.5,
        "max_batch": 1,
        "settle_s": 2.0,
        "min_age_s": 3.0,
        "poll_interval_s": 4.0,
        "existing": "offer",
        "state": "s3://state",
    }
    assert served == [(load_watch_spec(expected), "http://airflow")]


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({"AIRFLOW__AIOPT__UPLOADS_DIR": "/state"}, "/state"),
        ({"AIRFLOW__AIOPT__WORK_DIR": "/srv/aiopt/"}, "/srv/aiopt/uploads"),
    ],
)
def test_the_state_is_the_deployments(
    served: list[tuple[UploadWatchSpec, str]],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    state: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["watch", "/inbox", *DAG, *URL]) == 0
    assert served[0][0].state == state


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["/inbox", *DAG], 2, "which Airflow? Give --airflow-url"),
        (["inbox", *DAG, *URL], 1, "must be an absolute path or a URL"),
        (["/inbox", *DAG, *URL, "--pattern", "../*"], 1, "may not leave the watched folder"),
        (["/inbox", *DAG, "--airflow-url", "http://airflow", "--airflow-token", "a b"], 1, "spaces"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *arguments]) == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [("--max-batch", "0"), ("--window", "soon"), ("--settle", "-1"), ("--health-port", "-1")]
)
def test_wrong_numbers_are_refused(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["watch", "/inbox", *DAG, *URL, *option])
    assert f"argument {option[0]}: " in capsys.readouterr().err


def test_a_poll_interval_is_above_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "s3://bucket", *DAG, *URL, "--poll-interval", "0"]) == 1
    assert "poll_interval_s" in capsys.readouterr().err


def test_a_state_that_cannot_hold_claims_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_provider_aiopt.direct import service

    class Service:
        def __init__(self, watch: Any, starter: RunStarter, *, on_ready: Callable[[], None]) -> None:
            pass

        def stop(self) -> None:
            pass

        async def run(self) -> None:
            raise ExclusiveCreateError("the state cannot decide who is first")

    monkeypatch.setattr(service, "DirectService", Service)
    assert main(["watch", str(tmp_path), *DAG, *URL, "--uploads-dir", str(tmp_path / "state")]) == 1
    assert "cannot decide who is first" in capsys.readouterr().err
