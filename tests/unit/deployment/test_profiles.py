from __future__ import annotations

import re
from importlib.resources import files

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_aiopt.deployment.profiles import (
    PROFILES,
    Profile,
    ProfileSetting,
    Setting,
    load_profile,
    load_settings,
)
from airflow_provider_aiopt.exceptions import ConfigurationError

SETTINGS = load_settings()
IN_PROFILES = [(name, item) for name in PROFILES for item in load_profile(name).settings]
OLDEST_SUPPORTED = (3, 1)
# Described by Airflow as added before, but without effect until later.
HAD_NO_EFFECT = {"core.mp_start_method": "3.3"}


def airflows_description(setting: Setting) -> dict[str, str | None] | None:
    described = yaml.safe_load(files("airflow").joinpath("config_templates/config.yml").read_text("utf-8"))
    found: dict[str, str | None] | None = (
        described.get(setting.section, {}).get("options", {}).get(setting.key)
    )
    return found


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=str)
def test_airflow_has_the_setting_with_this_default(setting: Setting) -> None:
    # For sections of providers that are not installed, Airflow itself has the defaults.
    assert conf.get_default_value(setting.section, setting.key) == setting.default
    if setting.default is None:
        assert airflows_description(setting) is not None, "a misspelt key has no default either"


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=str)
def test_what_the_oldest_airflow_lacks_is_marked(setting: Setting) -> None:
    described = airflows_description(setting)
    added = HAD_NO_EFFECT.get(setting.name) or (described and described["version_added"]) or "1.0"
    version = tuple(int(part) for part in re.findall(r"\d+", added)[:2])
    assert setting.since == (added if version > OLDEST_SUPPORTED else None)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=str)
def test_airflow_has_the_setting_with_this_type(setting: Setting) -> None:
    described = airflows_description(setting)
    if described is not None:
        assert described["type"] == {"number": "float"}.get(setting.type, setting.type)
    if setting.default is not None:
        setting.parse(setting.default)


def test_every_setting_is_used_and_each_once_in_a_profile() -> None:
    assert {item.setting.name for _, item in IN_PROFILES} == set(SETTINGS)
    for name in PROFILES:
        names = [item.setting.name for item in load_profile(name).settings]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(("profile", "item"), IN_PROFILES, ids=lambda value: str(value)[:40])
def test_a_profile_accepts_its_own_values_and_explains_them(profile: str, item: ProfileSetting) -> None:
    assert item.accepts(item.value)
    assert item.why.endswith(".")
    assert item.cost.endswith(".")
    assert load_profile(profile).sections()[item.setting.section][item.setting.key] == item.value


def setting(want: str, value: str, kind: str = "number") -> ProfileSetting:
    data = {"section": "s", "key": "k", "type": kind, "default": "1", "bounds": "x"}
    return ProfileSetting.model_validate(
        {"setting": data, "value": value, "want": want, "why": "y", "cost": "z"}
    )


@pytest.mark.parametrize(
    ("want", "kind", "value", "accepted", "refused"),
    [
        ("at_most", "number", "0.1", ["0.1", "0.05", "0"], ["1", "0.11"]),
        ("at_least", "integer", "16", ["16", "64", " 16 "], ["15", "0"]),
        ("equal", "number", "1", ["1", "1.0"], ["2", "0.5"]),
        ("equal", "boolean", "False", ["False", "false", "0", "no"], ["True", "t", "1"]),
        ("equal", "string", "fork", ["fork", " fork"], ["spawn", "Fork"]),
    ],
)
def test_values_are_compared_as_what_they_are(
    want: str, kind: str, value: str, accepted: list[str], refused: list[str]
) -> None:
    wanted = setting(want, value, kind)
    assert all(wanted.accepts(text) for text in accepted)
    assert not any(wanted.accepts(text) for text in [*refused, None, "", " "])


def test_a_value_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        setting("at_most", "1").accepts("one")


def test_an_unknown_profile_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no profile 'fast'\. Take one of: low-latency, throughput"):
        load_profile("fast")


def test_what_a_file_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="prize"):
        Profile.model_validate({"name": "x", "summary": "y", "settings": [], "prize": 1})


def test_every_file_is_a_profile_that_can_be_named() -> None:
    found = {path.name for path in files("airflow_provider_aiopt.profiles").iterdir()}
    assert {name.removesuffix(".yaml") for name in found if name.endswith(".yaml")} == {*PROFILES, "settings"}
