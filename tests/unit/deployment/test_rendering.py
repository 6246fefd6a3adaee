from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

from airflow_provider_aiopt.deployment.profiles import PROFILES, Profile, load_profile
from airflow_provider_aiopt.deployment.rendering import FORMATS, as_cfg, as_env, as_helm, settings_tables

ROOT = Path(__file__).parents[3]


def sections_of_env(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            prefix, section, key = name.split("__")
            assert prefix == "AIRFLOW"
            found.setdefault(section.lower(), {})[key.lower()] = value
    return found


@pytest.mark.parametrize("name", PROFILES)
class TestEveryProfile:
    def test_as_airflow_cfg(self, name: str) -> None:
        parser = configparser.ConfigParser()
        parser.read_string(as_cfg(load_profile(name)))
        found = {section: dict(parser[section]) for section in parser.sections()}
        assert found == load_profile(name).sections()

    def test_as_environment(self, name: str) -> None:
        assert sections_of_env(as_env(load_profile(name))) == load_profile(name).sections()

    def test_as_helm_values(self, name: str) -> None:
        assert yaml.safe_load(as_helm(load_profile(name))) == {"config": load_profile(name).sections()}

    @pytest.mark.parametrize("form", FORMATS)
    def test_each_setting_is_explained(self, name: str, form: str) -> None:
        text = " ".join(FORMATS[form](load_profile(name)).replace("#", " ").split())
        for item in load_profile(name).settings:
            for part in (item.setting.bounds, item.why, f"Cost: {item.cost}"):
                assert part in text
            assert (item.setting.executor is None) or f"Read by the {item.setting.executor} alone." in text
            assert (item.setting.since is None) or f"from Airflow {item.setting.since} on" in text


def test_values_with_a_meaning_of_their_own_come_through() -> None:
    data = load_profile("low-latency").model_dump()
    first = data["settings"][0] | {"value": 'a%b: "c"'}
    profile = Profile.model_validate(data | {"settings": [first]})
    parser = configparser.ConfigParser()
    parser.read_string(as_cfg(profile))
    assert parser["scheduler"]["scheduler_idle_sleep_time"] == 'a%b: "c"'
    helm = yaml.safe_load(as_helm(profile))
    assert helm["config"]["scheduler"]["scheduler_idle_sleep_time"] == 'a%%b: "c"', "it becomes airflow.cfg"


def test_the_documentation_is_up_to_date() -> None:
    page = (ROOT / "docs" / "concurrency.md").read_text("utf-8")
    assert settings_tables() in page, "run scripts/render_profiles.py"
    assert page.count("| setting | default | value |") == len(PROFILES), "nothing is left of an older one"
