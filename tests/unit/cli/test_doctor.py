from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deployments import FakeAirflow, FakeConfiguration

from airflow_provider_aiopt.cli import doctor as cli
from airflow_provider_aiopt.cli.doctor import COMMAND
from airflow_provider_aiopt.cli.main import main, make_parser
from airflow_provider_aiopt.doctor.catalogue import CHECKS
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.models import DoctorReport
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

LIMITS = (
    "ok       limits: limits: [core] parallelism 32, [core] max_active_tasks_per_dag 16, [core] "
    "max_active_runs_per_dag 16, [core] max_map_length 1024"
)
URL = ("--airflow-url", "http://airflow")
ONLY = ("--only", "limits", "--only", "pools", "--only", "profile")
"""Those that look at nothing but what a fake can answer."""


def doctor(*arguments: str) -> int:
    return main(["doctor", *ONLY, *URL, *arguments])


class FakeDeployment:
    """Stands in for the Airflow that the command is part of."""

    def pools(self) -> Mapping[str, AirflowPool]:
        return {"default_pool": AirflowPool("default_pool", 64, include_deferred=False)}

    def dags(self) -> Sequence[DagFacts]:
        return [DagFacts("stuck", 0, 16)]

    def database_time(self) -> float:
        return 0.0

    def served_queues(self) -> frozenset[str]:
        return frozenset({"default"})


def inside(configuration: FakeConfiguration, *arguments: str) -> int:
    """As ``airflow aiopt doctor`` runs it."""
    parsed = make_parser().parse_args(["doctor", *arguments])
    parsed.configuration, parsed.deployment = configuration, FakeDeployment()
    return COMMAND.run(parsed)


def test_nothing_to_change(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 0
    assert capsys.readouterr().out.splitlines() == [
        LIMITS,
        "ok       pools: pool default_pool: has 128 slots, and a task of the templates takes 1",
        "skipped  profile: no profile was asked for: --profile NAME compares with one",
        "2 checks, 1 skipped: nothing to change",
    ]


def test_a_note_alone_is_no_failure(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["aiopt.shards"] = "20"
    assert doctor("--strict") == 0
    out = capsys.readouterr().out
    assert "note     limits: [aiopt] shards: 20, but [core] max_active_tasks_per_dag lets 16 tasks" in out
    assert out.endswith("2 checks, 1 skipped: 1 note\n")


def test_warnings_fail_only_where_that_is_asked_for(fake_airflow: FakeAirflow) -> None:
    assert doctor("--profile", "small-machine") == 0
    assert doctor("--profile", "small-machine", "--strict") == 1


def test_findings_and_remedies(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["aiopt.gpu_pool_slots"] = "2"
    assert doctor("--profile", "small-machine") == 1
    out = capsys.readouterr().out
    assert "error    pools: pool gpus: does not exist" in out
    assert "\n         Run: aiopt setup\n" in out
    assert "warning  profile: [core] parallelism: 32; small-machine wants 8 or less." in out
    assert "\n         Set AIRFLOW__CORE__PARALLELISM=8. Cost:" in out
    assert "3 checks: 1 error, " in out


def test_verbose_shows_what_is_as_it_should_be(
    fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_airflow.values["aiopt.gpu_pool_slots"] = "2"
    doctor()
    assert "pool default_pool" not in capsys.readouterr().out
    doctor("--verbose")
    assert "ok       pools: pool default_pool: has 128 slots" in capsys.readouterr().out


def test_json_for_programs(fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake_airflow.values["core.parallelism"] = "0"
    assert doctor("--json", "--skip", "pools") == 1
    report = DoctorReport.model_validate_json(capsys.readouterr().out)
    assert (report.ok, report.strict, report.profile) == (False, False, None)
    limits, profile = report.checks
    assert (limits.id, profile.skipped) == (
        "limits",
        "no profile was asked for: --profile NAME compares with one",
    )
    assert limits.model_dump(mode="json")["findings"] == [
        {
            "severity": "error",
            "subject": "[core] parallelism",
            "evidence": "0: no task is ever started",
            "remedy": "Set it to 1 or more",
        }
    ]


def test_the_list_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [check.id for check in CHECKS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "libs"], "There is no check libs. There are: packages, libraries,"),
        (["--statsd", "host:0"], "'host:0' is not HOST:PORT"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "soon"])
def test_a_time_limit_is_positive(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--time-limit", limit])
    assert ended.value.code == 2
    assert "--time-limit" in capsys.readouterr().err


def test_without_an_airflow_it_says_what_it_skips_and_why(
    fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *ONLY, "--strict"]) == 0
    assert "skipped  limits, pools: no Airflow is known: give --airflow-url" in capsys.readouterr().out


def test_where_things_are_comes_from_arguments_environment_and_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "spec.yaml"
    source = {"uri": "s3://bucket/photos", "connection": "aws_default"}
    spec.write_text(json.dumps({"name": "p", "source": source, "model": {"uri": "m.onnx"}}))
    monkeypatch.setenv("AIOPT_PROMETHEUS_URL", "http://prometheus")
    monkeypatch.setenv("AIOPT_EXPORTER_URL", "http://exporter")
    given = [
        "--spec",
        str(spec),
        "--statsd",
        "host",
        "--exporter-url",
        "http://other",
        "--run",
        "dag/run",
        "--work-dir",
        "/runs",
    ]
    found = cli._addresses(make_parser().parse_args(["doctor", *given]))
    assert (found.source, found.source_connection) == ("s3://bucket/photos", "aws_default")
    assert (found.statsd, found.exporter, found.prometheus) == (
        ("host", 8125),
        "http://other",
        "http://prometheus",
    )
    assert (found.work_dir, found.run) == ("/runs", "/runs/dag/run")


class TestInsideAirflow:
    def test_the_configuration_the_pools_and_the_dags_need_no_api(
        self, fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert inside(FakeConfiguration(), *ONLY, "--only", "dag-limits") == 1
        out = capsys.readouterr().out
        assert "pool default_pool: has 64 slots" in out
        assert "error    dag-limits: DAG stuck: max_active_runs is 0" in out
        assert fake_airflow.logins == []

    def test_another_airflow_that_is_named_is_asked_for_its_pools(
        self, fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert inside(FakeConfiguration(), *ONLY, *URL) == 0
        assert "pool default_pool: has 128 slots" in capsys.readouterr().out
        assert [url for url, _ in fake_airflow.logins] == ["http://airflow"]

    def test_pools_that_are_refused_do_not_hide_the_rest(
        self, fake_airflow: FakeAirflow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fake_airflow.refuses_pools = True
        assert inside(FakeConfiguration(), *ONLY, *URL, "--profile", "low-latency", "--strict") == 1
        out = capsys.readouterr().out
        assert "skipped  pools: GET /api/v2/pools answered HTTP 401" in out
        assert "[scheduler] scheduler_idle_sleep_time" in out


def test_the_probe_is_not_started_for_checks_that_have_no_use_for_it(
    fake_airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_aiopt.doctor import probe

    started: list[Any] = []
    monkeypatch.setattr(probe, "subprocess", SimpleNamespace(run=lambda *_, **__: started.append(1)))
    assert doctor() == 0
    assert started == []
