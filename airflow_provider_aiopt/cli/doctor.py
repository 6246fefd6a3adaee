"""``aiopt doctor``: what is wrong with an Airflow's set-up, and what to change."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

from airflow_provider_aiopt.cli.airflow_access import CREDENTIALS_NOTE, airflow_api, api_arguments, known_url
from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.deployment.checks import CHECKS, examine
from airflow_provider_aiopt.deployment.checks.base import Deployment, Finding, Severity
from airflow_provider_aiopt.deployment.configuration import ExposedConfiguration
from airflow_provider_aiopt.deployment.profiles import PROFILES, load_profile
from airflow_provider_aiopt.exceptions import AirflowApiError

_BAD = frozenset({Severity.ERROR, Severity.WARNING})

_DESCRIPTION = f"""\
Look for limits that let nothing run, compare the pools with what the DAG templates need and, with --profile,
the running configuration with a profile. Each finding says what was found and what to do.

`airflow aiopt doctor` reads the configuration of the Airflow that it is part of. `aiopt doctor` asks an API
server for it, which must have [api] expose_config set. The pools are read through the API in both cases.

{CREDENTIALS_NOTE}

exit codes: 0 nothing to change, 1 errors or warnings, or the configuration could not be read, 2 wrong usage
"""


def _run(arguments: argparse.Namespace) -> int:
    url = known_url(arguments)
    if url is None and arguments.configuration is None:
        complain(
            "doctor: which Airflow? Give --airflow-url, set AIOPT_AIRFLOW_URL, or use airflow aiopt doctor"
        )
        return ExitCode.USAGE
    findings = examine(_deployment(arguments, url))
    ok = not any(finding.severity in _BAD for finding in findings)
    if arguments.json:
        answer = {
            "ok": ok,
            "profile": arguments.profile,
            "checks": [{"name": check.name, "help": check.help} for check in CHECKS],
            "findings": [asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        _print(findings)
    return ExitCode.OK if ok else ExitCode.FAILURE


def _deployment(arguments: argparse.Namespace, url: str | None) -> Deployment:
    configuration = arguments.configuration
    if configuration is None:
        assert url is not None  # noqa: S101 - for the type checker: checked above
        api = airflow_api(arguments, url)
        configuration = ExposedConfiguration(api.url, api.configuration())
    profile = load_profile(arguments.profile) if arguments.profile else None
    deployment = Deployment(configuration, profile=profile)
    if url is None:
        return replace(deployment, no_pools="no URL of Airflow's API is known")
    try:
        return replace(deployment, pools=airflow_api(arguments, url).pools())
    except AirflowApiError as error:
        # What the configuration tells is worth having without the pools.
        return replace(deployment, no_pools=str(error), no_pools_severity=Severity.WARNING)


def _print(findings: Sequence[Finding]) -> None:
    width = max(map(len, Severity))
    for finding in findings:
        sys.stdout.write(f"{finding.severity:<{width}}  {finding.subject}: {finding.evidence}\n")
        sys.stdout.write(f"{'':<{width}}  {finding.remedy}\n")
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in Severity}
    told = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count)
    sys.stdout.write(f"{len(CHECKS)} checks: {told or 'nothing to change'}\n")


COMMAND = Command(
    name="doctor",
    help="say what is wrong with an Airflow's set-up, and what to change",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("--profile", choices=PROFILES, help="compare the configuration with it"),
        argument("--json", action="store_true", help="print the findings as JSON"),
        *api_arguments("the Airflow to look at"),
    ),
)
