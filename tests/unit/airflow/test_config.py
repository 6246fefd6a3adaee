from __future__ import annotations

import re

import pytest

from airflow_provider_aiopt.airflow.config import (
    AirflowConfiguration,
    choice_option,
    hardware_interval_s,
    int_option,
    option,
    slow_stage_option,
)
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.get_provider_info import CONFIG
from airflow_provider_aiopt.telemetry.thresholds import StageLimit

OPTIONS = CONFIG["aiopt"]["options"]


def test_every_option_has_its_declared_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTIONS:
        monkeypatch.delenv(f"AIRFLOW__AIOPT__{name.upper()}", raising=False)
    for name, declared in OPTIONS.items():
        if "{AIRFLOW_HOME}" in declared["default"]:
            assert re.fullmatch(r"/.*/(aiopt|models|uploads)", option(name)), "an absolute path"
        elif declared["type"] == "integer":
            assert int_option(name) == int(declared["default"])
        else:
            assert option(name) == declared["default"]


def test_the_deployment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", "s3://bucket/runs")
    monkeypatch.setenv("AIRFLOW__AIOPT__SHARDS", "7")
    assert option("work_dir") == "s3://bucket/runs"
    assert int_option("shards") == 7


def test_the_whole_configuration_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0.3")
    monkeypatch.delenv("AIRFLOW__AIOPT__SHARDS", raising=False)
    configuration = AirflowConfiguration()
    assert configuration.get("scheduler", "scheduler_idle_sleep_time") == "0.3"
    assert configuration.get("aiopt", "shards") == "2"
    assert configuration.get("core", "no_such_option") is None


def test_an_option_of_few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__UPLOADS_MODE", "staged")
    assert choice_option("uploads_mode", ("streaming", "staged")) == "staged"
    monkeypatch.setenv("AIRFLOW__AIOPT__UPLOADS_MODE", "stagd")
    with pytest.raises(ConfigurationError, match="uploads_mode is 'stagd'; it can be streaming or staged"):
        choice_option("uploads_mode", ("streaming", "staged"))


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("0.5", 0.5), ("60", 60.0)])
def test_the_hardware_interval(monkeypatch: pytest.MonkeyPatch, value: str, seconds: float) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__HARDWARE_INTERVAL", value)
    assert hardware_interval_s() == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "the interval is -1 s; it can be 0"),
        ("often", "could not convert"),
        ("nan", "the interval is nan s"),
    ],
)
def test_what_is_no_hardware_interval(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__HARDWARE_INTERVAL", value)
    with pytest.raises(ConfigurationError, match=rf"\[aiopt\] hardware_interval is '{value}': {message}"):
        hardware_interval_s()


class TestSlowStages:
    OPTION = "AIRFLOW__AIOPT__SLOW_STAGE_SECONDS"

    def test_none_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(self.OPTION, raising=False)
        assert slow_stage_option() == {}

    def test_limits_by_stage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(self.OPTION, '{"inference": 5, "*": {"seconds_per_item": 0.1}}')
        assert slow_stage_option() == {"inference": StageLimit(5), "*": StageLimit(None, 0.1)}

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("inference=5", "must be a JSON object; found 'inference=5': Expecting value"),
            ("5", "must be a JSON object; found '5'"),
            ('{"inference": -1}', "the threshold of stage 'inference' is -1"),
        ],
    )
    def test_what_is_wrong_names_the_option(
        self, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(self.OPTION, value)
        with pytest.raises(
            ConfigurationError, match=rf"(?i)\[aiopt\] slow_stage_seconds:? {re.escape(problem)}"
        ):
            slow_stage_option()
