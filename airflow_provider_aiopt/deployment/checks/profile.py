"""The running configuration beside a profile."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_aiopt.deployment.checks.base import Check, Deployment, Finding, Severity
from airflow_provider_aiopt.deployment.profiles import ProfileSetting

_NAME = "profile"
_DEFAULT_EXECUTOR = "LocalExecutor"
_WANTS = {"equal": "", "at_most": " or less", "at_least": " or more"}


def _run(deployment: Deployment) -> Iterator[Finding]:
    if deployment.profile is None:
        return
    executor = deployment.configuration.get("core", "executor") or _DEFAULT_EXECUTOR
    for item in deployment.profile.settings:
        if item.setting.executor is None or item.setting.executor in executor:
            running = deployment.configuration.get(item.setting.section, item.setting.key)
            yield from _compare(item, running, deployment.profile.name)


def _compare(item: ProfileSetting, running: str | None, profile: str) -> Iterator[Finding]:
    try:
        accepted = item.accepts(running)
    except ValueError:
        accepted = False
    if accepted:
        return
    found = "not set" if running is None or not running.strip() else running
    since = f" It has this effect from Airflow {item.setting.since} on." if item.setting.since else ""
    yield Finding(
        _NAME,
        Severity.WARNING,
        item.setting.label,
        f"{found}; {profile} wants {item.value}{_WANTS[item.want]}. {item.why}{since}",
        f"Set {item.setting.variable}={item.value}. Cost: {item.cost}",
    )


PROFILE = Check(_NAME, "the running configuration beside a profile", _run)
