"""``aiopt report``: where a run spent its time."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from airflow_provider_aiopt.cli.airflow_access import CREDENTIALS_NOTE, airflow_api, api_arguments, named_url
from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.reports import RunReport

_DESCRIPTION = f"""\
Show how long each stage of a run took, what share of the run that is, and which stage holds it up.

RUN is the path or URL of a run's workspace, or DAG_ID/RUN_ID within the work directory.

With --explain it says what limits the run, with the numbers that show it, and what to change, with the gain
that this promises and what has to hold for it.

With --against-history the stages are compared with the earlier runs of that folder: which have become slower
or faster than is usual for them.

Standard output carries the table, or with --json, or --csv without a file, only the data. With an
Airflow URL the report includes how long Airflow had each task scheduled and queued.

{CREDENTIALS_NOTE}

exit codes: 0 reported, 1 no usable reports or Airflow's API failed, 2 wrong usage
"""

_STDOUT = "-"


def _run(arguments: argparse.Namespace) -> int:
    if arguments.json and arguments.csv == _STDOUT:
        complain("report: --json and --csv both want standard output. Give --csv a file")
        return ExitCode.USAGE
    report = load_report(arguments, arguments.run_workspace, named_url(arguments))
    report = _beside_earlier_runs(report, arguments)
    _write_files(report, arguments)
    if arguments.json:
        sys.stdout.write(_json(report, explain=arguments.explain))
    elif arguments.csv == _STDOUT:
        from airflow_provider_aiopt.telemetry.export import csv_text

        sys.stdout.write(csv_text(report))
    else:
        _print_table(report)
        if arguments.explain:
            _print_explanation(report)
    return ExitCode.OK


def load_report(arguments: argparse.Namespace, run: str, url: str | None) -> RunReport:
    """Return the report of a run that a command line names.

    :param arguments: the parsed command line, with ``work_dir``, ``resolver`` and what names an Airflow
    :param run: the run's workspace, or DAG_ID/RUN_ID
    :param url: the Airflow that knows its times; None to go without
    :raises AioptError: one of its subclasses, where there is no usable report or Airflow does not answer
    """
    from airflow_provider_aiopt.telemetry.run_report import load_run_report

    folder = Folder.open(workspace_of(run, arguments.work_dir), resolver=arguments.resolver)
    report = load_run_report(folder)
    if url is None:
        return report
    api = airflow_api(arguments, url)
    dag_id = _dag_id(report, url)
    return load_run_report(
        folder,
        task_times=api.task_times(dag_id, report.run_id),
        queued_s=api.queued_s(dag_id, report.run_id),
    )


def _beside_earlier_runs(report: RunReport, arguments: argparse.Namespace) -> RunReport:
    from airflow_provider_aiopt.telemetry.history import against_history

    if arguments.against_history is None:
        return report
    return against_history(report, Folder.open(arguments.against_history, resolver=arguments.resolver))


def workspace_of(run: str, work_dir: str | None) -> str:
    """Return the workspace that a user calls *run*: its folder or URL, or ``DAG_ID/RUN_ID``.

    :param work_dir: folder of all workspaces; default: as Airflow has it
    """
    if "://" in run or Path(run).is_dir():
        return run.rstrip("/")
    base = work_dir or os.environ.get("AIRFLOW__AIOPT__WORK_DIR") or default_work_dir()
    return f"{base.rstrip('/')}/{run.strip('/')}"


def default_work_dir() -> str:
    """Return the default of ``[aiopt] work_dir``."""
    home = os.environ.get("AIRFLOW_HOME", "~/airflow")
    return str(Path(home).expanduser() / "aiopt")


def _dag_id(report: RunReport, url: str) -> str:
    if report.dag_id is None:
        raise ReportError(
            f"The run {report.run_id} did not run in Airflow, so {url} knows no times of it. "
            "Leave --airflow-url and AIOPT_AIRFLOW_URL out"
        )
    return report.dag_id


def _write_files(report: RunReport, arguments: argparse.Namespace) -> None:
    if arguments.csv not in {None, _STDOUT}:
        from airflow_provider_aiopt.telemetry.export import write_csv

        write_csv(report, arguments.csv)
    for path in arguments.plot:
        from airflow_provider_aiopt.telemetry.plot import write_plot

        write_plot(report, path)


def _json(report: RunReport, *, explain: bool) -> str:
    if explain:
        from airflow_provider_aiopt.advisor.diagnosis import diagnose

        return diagnose(report).model_dump_json(indent=2) + "\n"
    from airflow_provider_aiopt.telemetry.export import json_text

    return json_text(report)


def _print_explanation(report: RunReport) -> None:
    from airflow_provider_aiopt.advisor.diagnosis import diagnose
    from airflow_provider_aiopt.advisor.texts import explanation

    stdout_console().print(
        f"\n{explanation(diagnose(report))}", markup=False, highlight=False, soft_wrap=True
    )


def _print_table(report: RunReport) -> None:
    from airflow_provider_aiopt.telemetry.profile_lines import profile_lines
    from airflow_provider_aiopt.telemetry.table import stage_table

    console = stdout_console()
    console.print(stage_table(report))
    for line in profile_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


COMMAND = Command(
    name="report",
    help="show where a run spent its time",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("run_workspace", metavar="RUN", help="the run's workspace, or DAG_ID/RUN_ID"),
        argument(
            "--csv",
            nargs="?",
            const=_STDOUT,
            metavar="FILE",
            help="write one line per stage as CSV, to standard output where no file is given",
        ),
        argument(
            "--plot",
            action="append",
            default=[],
            metavar="FILE",
            help="draw the stages to a .png or .svg file; may be repeated",
        ),
        argument(
            "--explain",
            action="store_true",
            help="say what limits the run and what to change; with --json this instead of the report",
        ),
        argument("--json", action="store_true", help="print the whole report as JSON instead of the table"),
        argument(
            "--against-history",
            metavar="FOLDER_OR_URL",
            help="say which stages have changed beside the earlier runs whose workspaces lie there",
        ),
        argument(
            "--work-dir",
            metavar="DIR",
            help="where DAG_ID/RUN_ID lies; $AIRFLOW__AIOPT__WORK_DIR or $AIRFLOW_HOME/aiopt by default",
        ),
        *api_arguments("add scheduled and queued times from this Airflow"),
    ),
)
