"""``aiopt profile``: settings of Airflow for a purpose, ready to paste."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_aiopt.cli.command import Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode
from airflow_provider_aiopt.deployment.profiles import PROFILES, load_profile
from airflow_provider_aiopt.deployment.rendering import FORMATS

_SHOW = """\
Print a profile as a part of airflow.cfg, as environment variables, or as values of Airflow's Helm chart. Each
setting has as comments what it bounds, its default, what the profile's value is good for and what it costs.

`airflow aiopt doctor --profile NAME` compares a running Airflow with it.
"""


def _list(arguments: argparse.Namespace) -> int:
    profiles = [load_profile(name) for name in PROFILES]
    if arguments.json:
        values = [profile.model_dump(mode="json") for profile in profiles]
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
        return ExitCode.OK
    width = max(map(len, PROFILES))
    for profile in profiles:
        sys.stdout.write(f"{profile.name:<{width}}  {profile.summary}\n")
    return ExitCode.OK


def _show(arguments: argparse.Namespace) -> int:
    sys.stdout.write(FORMATS[arguments.format](load_profile(arguments.name)))
    return ExitCode.OK


GROUP = CommandGroup(
    name="profile",
    help="show settings of Airflow that fit a purpose",
    commands=(
        Command(
            name="list",
            help="list the profiles",
            run=_list,
            arguments=(argument("--json", action="store_true", help="print all of them as JSON"),),
        ),
        Command(
            name="show",
            help="print a profile, ready to paste",
            description=_SHOW,
            run=_show,
            arguments=(
                argument("name", metavar="NAME", choices=PROFILES, help=", ".join(PROFILES)),
                argument("--format", choices=tuple(FORMATS), default="cfg", help="default: cfg"),
            ),
        ),
    ),
)
