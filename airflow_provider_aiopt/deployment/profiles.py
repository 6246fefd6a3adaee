"""Profiles: settings of Airflow that fit a purpose, each with its reason and its price.

They are data, ``airflow_provider_aiopt/profiles/*.yaml``: ``settings.yaml`` has what is true of a setting in
every profile, the other files say what a profile makes of it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_aiopt.exceptions import ConfigurationError

PROFILES = ("low-latency", "throughput", "small-machine")
"""The profiles' names."""

_EXECUTOR_SECTIONS = {"celery": "CeleryExecutor", "kubernetes_executor": "KubernetesExecutor"}
_TRUE = frozenset({"true", "t", "1", "yes", "on"})

OneLine = Annotated[str, BeforeValidator(lambda text: " ".join(text.split()))]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class Setting(_Model):
    """A setting of Airflow.

    :param section: its section
    :param key: its name there
    :param type: what its value is
    :param default: Airflow's own value, None where it has none
    :param since: the first Airflow version in which it has this effect, None for 3.1 and before
    :param bounds: what it bounds
    """

    section: str
    key: str
    type: Literal["integer", "number", "boolean", "string"]
    default: str | None
    since: str | None = None
    bounds: OneLine

    @property
    def name(self) -> str:
        """The setting in one word, as ``section.key``."""
        return f"{self.section}.{self.key}"

    @property
    def label(self) -> str:
        """The setting as Airflow's documentation writes it."""
        return f"[{self.section}] {self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"AIRFLOW__{self.section}__{self.key}".upper()

    @property
    def executor(self) -> str | None:
        """The executor that alone reads it, None where all do."""
        return _EXECUTOR_SECTIONS.get(self.section)

    def parse(self, text: str) -> float | bool | str:
        """Return a value of this setting in a form that can be compared.

        :raises ValueError: if the text is none
        """
        if self.type == "boolean":
            return text.strip().lower() in _TRUE
        return text.strip() if self.type == "string" else float(text)


class ProfileSetting(_Model):
    """What a profile makes of a setting.

    :param setting: which
    :param value: its value in the profile
    :param want: how another value compares: whether smaller or larger ones serve the purpose as well
    :param why: what the value is good for
    :param cost: what it costs
    """

    setting: Setting
    value: str
    want: Literal["equal", "at_most", "at_least"]
    why: OneLine
    cost: OneLine

    def accepts(self, text: str | None) -> bool:
        """Whether the running value serves the profile's purpose.

        :param text: the running value, None where it is not set
        :raises ValueError: if the text is no value of this setting
        """
        if text is None or not text.strip():
            return False
        running, wanted = self.setting.parse(text), self.setting.parse(self.value)
        if isinstance(running, str) or isinstance(wanted, str) or self.want == "equal":
            return running == wanted
        return running <= wanted if self.want == "at_most" else running >= wanted


class Profile(_Model):
    """Settings that fit a purpose together.

    :param name: what the user types
    :param summary: the purpose
    :param settings: the settings, each once
    """

    name: str
    summary: OneLine
    settings: Annotated[tuple[ProfileSetting, ...], Field(min_length=1)]

    def sections(self) -> dict[str, dict[str, str]]:
        """Return the values by section and key, as ``airflow.cfg`` nests them."""
        found: dict[str, dict[str, str]] = {}
        for item in self.settings:
            found.setdefault(item.setting.section, {})[item.setting.key] = item.value
        return found


@cache
def load_settings() -> dict[str, Setting]:
    """Return every setting that a profile may change, by ``section.key``."""
    settings = [Setting.model_validate(item) for item in _read("settings")]
    return {setting.name: setting for setting in settings}


@cache
def load_profile(name: str) -> Profile:
    """Return a profile.

    :param name: one of :data:`PROFILES`
    :raises ConfigurationError: if there is no such profile
    """
    if name not in PROFILES:
        raise ConfigurationError(f"There is no profile {name!r}. Take one of: {', '.join(PROFILES)}")
    known = load_settings()
    data = _read(name)
    settings = [item | {"setting": known[item["setting"]]} for item in data["settings"]]
    return Profile.model_validate(data | {"settings": settings})


def _read(name: str) -> Any:
    text = files("airflow_provider_aiopt.profiles").joinpath(f"{name}.yaml").read_text("utf-8")
    return yaml.safe_load(text)
