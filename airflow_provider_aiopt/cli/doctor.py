"""``aiopt doctor``: what is wrong with an installation, a machine or an Airflow, and what to change."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.airflow_access import (
    CREDENTIALS_NOTE,
    airflow_api,
    api_arguments,
    known_url,
    named_url,
)
from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.deployment.profiles import PROFILES
from airflow_provider_aiopt.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_aiopt.doctor.context import Addresses, CheckContext

_PROMETHEUS, _EXPORTER = "AIOPT_PROMETHEUS_URL", "AIOPT_EXPORTER_URL"

_DESCRIPTION = f"""\
Look for what does not fit together or does not work: packages and libraries, GPUs, limits of the machine,
Airflow's limits, pools and DAGs, the way of the metrics, storage. Each finding says what was found, in
numbers, and what to do. --list names the checks; docs/doctor.md says what each one finds.

`airflow aiopt doctor` reads the configuration and the DAGs of the Airflow that it is part of.
`aiopt doctor` asks an API server for them, whose configuration only [api] expose_config shows; without any
Airflow it says which checks it skips, and why.

{CREDENTIALS_NOTE}

exit codes: 0 no errors (with --strict: nor warnings, nor what did not answer), 1 errors, 2 wrong usage
"""


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.doctor.catalogue import CHECKS
    from airflow_provider_aiopt.doctor.examine import examine, select
    from airflow_provider_aiopt.doctor.models import CheckResult
    from airflow_provider_aiopt.doctor.rendering import last_line, result_lines, skipped_lines

    if arguments.list:
        sys.stdout.writelines(f"{check.id:<14}  {check.title}\n" for check in CHECKS)
        return ExitCode.OK
    try:
        checks = select(CHECKS, only=arguments.only, skip=arguments.skip)
        context = _context(arguments)
    except (ConfigurationError, ValueError) as error:
        complain(f"doctor: {error}")
        return ExitCode.USAGE

    def show(result: CheckResult) -> None:
        if not arguments.json and result.skipped is None:
            sys.stdout.writelines(f"{line}\n" for line in result_lines(result, verbose=arguments.verbose))
            sys.stdout.flush()

    report = examine(context, checks, strict=arguments.strict, limit_s=arguments.time_limit, tell=show)
    lines = (
        [report.model_dump_json(indent=2)] if arguments.json else [*skipped_lines(report), last_line(report)]
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return ExitCode.OK if report.ok else ExitCode.FAILURE


def _context(arguments: argparse.Namespace) -> CheckContext:
    from airflow_provider_aiopt.deployment.profiles import load_profile
    from airflow_provider_aiopt.doctor.context import CheckContext, Fact
    from airflow_provider_aiopt.doctor.probe import run_probe

    context = CheckContext(
        probe=Fact(run_probe),
        profile=load_profile(arguments.profile) if arguments.profile else None,
        addresses=_addresses(arguments),
        resolver=arguments.resolver,
    )
    return _with_deployment(_with_api(context, arguments), arguments)


def _with_api(context: CheckContext, arguments: argparse.Namespace) -> CheckContext:
    """Add what an API server answers, where one is known."""
    from airflow_provider_aiopt.doctor.airflow_server import ask_configuration, ask_dags, ask_health
    from airflow_provider_aiopt.doctor.context import Fact

    url = known_url(arguments)
    if url is None:
        return context
    return replace(
        context,
        configuration=Fact(lambda: ask_configuration(airflow_api(arguments, url))),
        health=Fact(lambda: ask_health(airflow_api(arguments, url))),
        pools=Fact(lambda: airflow_api(arguments, url).pools()),
        dags=Fact(lambda: ask_dags(airflow_api(arguments, url))),
    )


def _with_deployment(context: CheckContext, arguments: argparse.Namespace) -> CheckContext:
    """Add what the Airflow knows that the command is part of; it knows more than its API tells."""
    from airflow_provider_aiopt.doctor.context import Fact

    if arguments.configuration is not None:
        context = replace(context, configuration=Fact.of(arguments.configuration))
    deployment = getattr(arguments, "deployment", None)
    if deployment is None:
        return context
    # Where the user names another Airflow, its pools and DAGs are asked for.
    if named_url(arguments) is None:
        context = replace(context, pools=Fact(deployment.pools), dags=Fact(deployment.dags))
    return replace(
        context,
        database_time=Fact.of(deployment.database_time),
        served_queues=Fact(deployment.served_queues),
    )


def _addresses(arguments: argparse.Namespace) -> Addresses:
    from airflow_provider_aiopt.cli.report import workspace_of
    from airflow_provider_aiopt.doctor.context import Addresses
    from airflow_provider_aiopt.telemetry.statsd import parse_address

    source: dict[str, Any] = {"source": arguments.source}
    if arguments.spec:
        from airflow_provider_aiopt.spec.loading import load_spec

        spec = load_spec(arguments.spec).source
        source = {
            "source": arguments.source or spec.uri,
            "source_connection": spec.connection,
            "source_options": spec.storage_options,
        }
    return Addresses(
        statsd=parse_address(arguments.statsd) if arguments.statsd else None,
        exporter=arguments.exporter_url or os.environ.get(_EXPORTER) or None,
        prometheus=arguments.prometheus_url or os.environ.get(_PROMETHEUS) or None,
        work_dir=arguments.work_dir,
        run=workspace_of(arguments.run_workspace, arguments.work_dir) if arguments.run_workspace else None,
        **source,
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


COMMAND = Command(
    name="doctor",
    help="say what is wrong with an installation, a machine or an Airflow, and what to change",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("--list", action="store_true", help="name the checks and make none"),
        argument(
            "--only", action="append", default=[], metavar="ID", help="make this check; may be repeated"
        ),
        argument("--skip", action="append", default=[], metavar="ID", help="leave it out; may be repeated"),
        argument("--profile", choices=PROFILES, help="compare the configuration with it"),
        argument("--source", metavar="URI", help="measure how fast this folder or URL can be read"),
        argument("--spec", metavar="FILE", help="the same for the source of this pipeline spec"),
        argument(
            "--run",
            dest="run_workspace",
            metavar="RUN",
            help="workspace of a run, or DAG_ID/RUN_ID, whose report says what it took of the source; "
            "default: the newest below a local --work-dir",
        ),
        argument(
            "--work-dir",
            metavar="URI",
            help="folder of the runs' workspaces (default: [aiopt] work_dir in Airflow)",
        ),
        argument("--statsd", metavar="HOST:PORT", help="StatsD server (default: as Airflow is configured)"),
        argument(
            "--exporter-url",
            metavar="URL",
            help=f"page of its exporter; ${_EXPORTER}, or port 9102 of the StatsD server, by default",
        ),
        argument("--prometheus-url", metavar="URL", help=f"${_PROMETHEUS} by default"),
        argument("--time-limit", type=_seconds, metavar="SECONDS", help="for each check (default: its own)"),
        argument("--strict", action="store_true", help="let warnings count as errors"),
        argument("--verbose", action="store_true", help="show all that is as it should be, too"),
        argument("--json", action="store_true", help="print the report as JSON (docs/doctor.schema.json)"),
        *api_arguments("the Airflow to look at"),
    ),
)
