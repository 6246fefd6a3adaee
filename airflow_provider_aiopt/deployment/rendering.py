"""Profiles as parts of ``airflow.cfg``, an environment file or Helm values, and as tables for the docs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from itertools import groupby

from airflow_provider_aiopt.deployment.profiles import PROFILES, Profile, ProfileSetting, load_profile

_WIDTH = 100


def as_cfg(profile: Profile) -> str:
    """Render a part of ``airflow.cfg``."""

    def line(item: ProfileSetting) -> str:
        # Airflow interpolates: a percent sign is doubled.
        return f"{item.setting.key} = {item.value.replace('%', '%%')}"

    return _text([*_head(profile), *_by_section(profile, "", lambda section: f"[{section}]", line)])


def as_env(profile: Profile) -> str:
    """Render lines for an environment file, of Docker Compose or systemd."""
    lines = _head(profile)
    for item in profile.settings:
        lines += ["", *_comments(item, ""), f"{item.setting.variable}={item.value}"]
    return _text(lines)


def as_helm(profile: Profile) -> str:
    """Render values for Airflow's Helm chart, which writes what is under ``config`` to ``airflow.cfg``."""

    def line(item: ProfileSetting) -> str:
        # Quoted: Helm would turn large numbers into floats.
        return f"    {item.setting.key}: {json.dumps(item.value.replace('%', '%%'))}"

    sections = _by_section(profile, "    ", lambda section: f"  {section}:", line)
    return _text([*_head(profile), "config:", *sections])


FORMATS: dict[str, Callable[[Profile], str]] = {"cfg": as_cfg, "env": as_env, "helm": as_helm}
"""How a profile may be rendered, by the name of the format."""


def settings_tables() -> str:
    """Render all profiles as Markdown tables, for ``docs/concurrency.md``."""
    return "\n\n".join(_table(load_profile(name)) for name in PROFILES) + "\n"


def _by_section(
    profile: Profile, indent: str, title: Callable[[str], str], line: Callable[[ProfileSetting], str]
) -> list[str]:
    lines: list[str] = []
    # By their sections' first appearance: a section may not be opened twice.
    order = list(profile.sections())
    settings = sorted(profile.settings, key=lambda item: order.index(item.setting.section))
    for section, items in groupby(settings, key=lambda item: item.setting.section):
        lines += ["", title(section)]
        for item in items:
            lines += [*_comments(item, indent), line(item)]
    return lines


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _head(profile: Profile) -> list[str]:
    return _wrapped(f"Profile {profile.name}: {profile.summary}", "")


def _comments(item: ProfileSetting, indent: str) -> list[str]:
    default = "not set" if item.setting.default is None else item.setting.default
    notes = [f"{item.setting.bounds} Default: {default}.", item.why, f"Cost: {item.cost}", *_conditions(item)]
    return [line for note in notes for line in _wrapped(note, indent)]


def _conditions(item: ProfileSetting) -> Iterator[str]:
    if item.setting.executor:
        yield f"Read by the {item.setting.executor} alone."
    if item.setting.since:
        yield f"Has this effect from Airflow {item.setting.since} on."


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _table(profile: Profile) -> str:
    lines = [
        f"### `{profile.name}`",
        "",
        profile.summary,
        "",
        "| setting | default | value | why | cost |",
        "|---|---|---|---|---|",
    ]
    for item in profile.settings:
        default = "none" if item.setting.default is None else f"`{item.setting.default}`"
        why = " ".join([item.why, *_conditions(item)])
        lines.append(f"| `{item.setting.label}` | {default} | `{item.value}` | {why} | {item.cost} |")
    return "\n".join(lines)
