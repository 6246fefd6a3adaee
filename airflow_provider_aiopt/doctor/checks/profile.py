"""The running configuration beside a profile."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.deployment.profiles import Profile, ProfileSetting
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, ok, warning

_DEFAULT_EXECUTOR = "LocalExecutor"
_WANTS = {"equal": "", "at_most": " or less", "at_least": " or more"}


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    if context.profile is None:
        yield Skip("no profile was asked for: --profile NAME compares with one")
        return
    configuration = context.configuration.get()
    if isinstance(configuration, Skip):
        yield configuration
        return
    differences = list(judge(configuration, context.profile))
    yield from differences
    if not differences:
        yield ok(context.profile.name, f"all {len(context.profile.settings)} settings serve its purpose")


def judge(configuration: Configuration, profile: Profile) -> Iterator[Finding]:
    """Compare a configuration with a profile; settings of executors that are not in use are left out."""
    executor = configuration.get("core", "executor") or _DEFAULT_EXECUTOR
    for item in profile.settings:
        if item.setting.executor is None or item.setting.executor in executor:
            yield from _compare(item, configuration.get(item.setting.section, item.setting.key), profile.name)


def _compare(item: ProfileSetting, running: str | None, profile: str) -> Iterator[Finding]:
    try:
        accepted = item.accepts(running)
    except ValueError:
        accepted = False
    if accepted:
        return
    found = "not set" if running is None or not running.strip() else running
    since = f" It has this effect from Airflow {item.setting.since} on." if item.setting.since else ""
    yield warning(
        item.setting.label,
        f"{found}; {profile} wants {item.value}{_WANTS[item.want]}. {item.why}{since}",
        f"Set {item.setting.variable}={item.value}. Cost: {item.cost}",
    )


PROFILE = Check(
    "profile",
    "the running configuration beside a profile",
    "with `--profile NAME`: settings that differ from the profile's, each with what the change is good for "
    "and "
    "what it costs; those of an executor that is not in use are left out",
    _run,
)
