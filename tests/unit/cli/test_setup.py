from __future__ import annotations

import json

import pytest
from deployments import FakeAirflow

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

URL = ("--airflow-url", "http://airflow")
GPUS = ("--set", "gpu_pool_slots=2")


def setup(*arguments: str) -> int:
    return main(["setup", *URL, *arguments])


def test_what_it_makes_it_makes_once(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(*GPUS) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pool default_pool: unchanged, 128 slots, deferred tasks not included",
        "pool gpus: created, 2 slots, deferred tasks included",
    ]
    assert fake_airflow.pools()["gpus"] == AirflowPool("gpus", 2, include_deferred=True)

    assert setup(*GPUS) == 0
    assert "pool gpus: unchanged, 2 slots" in capsys.readouterr().out
    assert fake_airflow.changes == 1


def test_what_it_changes(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    setup(*GPUS)
    assert setup("--set", "gpu_pool_slots=3") == 0
    line = "pool gpus: updated, 2 slots, deferred tasks included -> 3 slots, deferred tasks included"
    assert line in capsys.readouterr().out


def test_check_changes_nothing(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup("--check", *GPUS) == 1
    assert "pool gpus: missing, 2 slots, deferred tasks included" in capsys.readouterr().out
    assert setup("--check", "--set", "cpu_pool=small") == 1
    assert "pool small: missing; [aiopt] cpu_pool_slots does not say its size" in capsys.readouterr().out
    assert setup("--check") == 0
    assert fake_airflow.changes == 0


def test_json_for_programs(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup("--check", "--json", *GPUS) == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "pools": [
            {
                "name": "default_pool",
                "state": "unchanged",
                "wanted": {"slots": None, "include_deferred": None},
                "found": {"slots": 128, "include_deferred": False},
            },
            {
                "name": "gpus",
                "state": "missing",
                "wanted": {"slots": 2, "include_deferred": True},
                "found": None,
            },
        ],
    }


def test_options_come_from_the_environment(
    fake_airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__GPU_POOL_SLOTS", "8")
    monkeypatch.setenv("AIRFLOW__AIOPT__GPU_POOL", "a100")
    assert setup() == 0
    assert fake_airflow.pools()["a100"].slots == 8


def test_credentials_come_from_the_environment_too(
    fake_airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"URL": "http://env", "TOKEN": "t", "USERNAME": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"AIOPT_AIRFLOW_{name}", value)
    assert main(["setup"]) == 0
    assert fake_airflow.logins == [("http://env", {"token": "t", "username": "u", "password": "p"})]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "gpu_pool_slots"), "--set takes OPTION=VALUE, such as gpu_pool_slots=2; found"),
        (
            ("--airflow-url", ""),
            "which Airflow? Give --airflow-url, or set AIOPT_AIRFLOW_URL or [api] base_url",
        ),
    ],
)
def test_wrong_usage(
    fake_airflow: FakeAirflow,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert setup(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "gpus=2"), "There is no option [aiopt] gpus"),
        (("--set", "gpu_pool_slots=many"), "gpu_pool_slots must be a whole number"),
        (("--set", "cpu_pool=small"), "The pool 'small' does not exist"),
    ],
)
def test_a_wrong_option_is_one_message(
    fake_airflow: FakeAirflow,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert setup(*arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert fake_airflow.changes == 0


def test_a_refusal_is_one_message(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.refuses_pools = True
    assert setup(*GPUS) == 1
    assert capsys.readouterr() == ("", "aiopt: GET /api/v2/pools answered HTTP 401\n")
