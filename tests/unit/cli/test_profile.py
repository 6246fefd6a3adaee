from __future__ import annotations

import json

import pytest

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.deployment.profiles import PROFILES, load_profile
from airflow_provider_aiopt.deployment.rendering import FORMATS


def test_they_are_listed_with_their_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PROFILES)
    assert all(load_profile(name).summary in line for name, line in zip(PROFILES, lines, strict=True))


def test_json_has_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "list", "--json"]) == 0
    profiles = json.loads(capsys.readouterr().out)
    assert [profile["name"] for profile in profiles] == list(PROFILES)
    first = profiles[0]["settings"][0]
    assert (first["setting"]["key"], first["value"]) == ("scheduler_idle_sleep_time", "0.05")


@pytest.mark.parametrize("form", FORMATS)
def test_one_is_shown(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "throughput", "--format", form]) == 0
    assert capsys.readouterr().out == FORMATS[form](load_profile("throughput"))


def test_the_format_is_airflow_cfg_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "throughput"]) == 0
    assert "[scheduler]" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["show fast", "show throughput --format ini", "show"])
def test_wrong_usage(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["profile", *line.split()])
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
