from __future__ import annotations

import json

import pytest
from deployments import FakeAirflow, FakeConfiguration

from airflow_provider_aiopt.cli.doctor import COMMAND
from airflow_provider_aiopt.cli.main import main, make_parser

URL = ("--airflow-url", "http://airflow")


def doctor(*arguments: str) -> int:
    return main(["doctor", *URL, *arguments])


def inside(configuration: FakeConfiguration, *arguments: str) -> int:
    """As ``airflow aiopt doctor`` runs it."""
    parsed = make_parser().parse_args(["doctor", *arguments])
    parsed.configuration = configuration
    return COMMAND.run(parsed)


def test_nothing_to_change(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 0
    assert capsys.readouterr().out == "3 checks: nothing to change\n"


def test_a_note_alone_is_no_failure(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["aiopt.shards"] = "20"
    assert doctor() == 0
    out = capsys.readouterr().out
    assert "note     [aiopt] shards: 20, but [core] max_active_tasks_per_dag lets 16 tasks" in out
    assert out.endswith("3 checks: 1 note\n")


def test_findings_and_remedies(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["aiopt.gpu_pool_slots"] = "2"
    assert doctor("--profile", "small-machine") == 1
    out = capsys.readouterr().out
    assert "error    pool gpus: does not exist" in out
    assert "\n         Run: aiopt setup\n" in out
    assert "warning  [core] parallelism: 32; small-machine wants 8 or less." in out
    assert "\n         Set AIRFLOW__CORE__PARALLELISM=8. Cost:" in out
    assert "3 checks: 1 error, " in out


def test_json_for_programs(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["core.parallelism"] = "0"
    assert doctor("--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["profile"]) == (False, None)
    assert [check["name"] for check in answer["checks"]] == ["limits", "pools", "profile"]
    assert answer["findings"] == [
        {
            "check": "limits",
            "severity": "error",
            "subject": "[core] parallelism",
            "evidence": "0: no task is ever started",
            "remedy": "Set it to 1 or more",
        }
    ]


def test_without_an_airflow_it_is_wrong_usage(
    fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 2
    assert "which Airflow?" in capsys.readouterr().err


class TestInsideAirflow:
    def test_the_configuration_needs_no_api(
        self, fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert inside(FakeConfiguration()) == 0
        assert "note     pools: not checked: no URL of Airflow's API is known" in capsys.readouterr().out
        assert fake_airflow.logins == []

    def test_its_own_url_leads_to_the_pools(self, fake_airflow: FakeAirflow) -> None:
        assert inside(FakeConfiguration(**{"api.base_url": "http://own"})) == 0
        assert [url for url, _ in fake_airflow.logins] == ["http://own"]

    def test_pools_that_are_refused_do_not_hide_the_rest(
        self, fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fake_airflow.refuses_pools = True
        assert inside(FakeConfiguration(), *URL, "--profile", "low-latency") == 1
        out = capsys.readouterr().out
        assert "warning  pools: not checked: GET /api/v2/pools answered HTTP 401" in out
        assert "[scheduler] scheduler_idle_sleep_time" in out
