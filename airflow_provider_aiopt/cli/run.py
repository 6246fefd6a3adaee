"""``aiopt run``: a whole pipeline in this process, without Airflow."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.numbers import interval, whole
from airflow_provider_aiopt.cli.options import ALLOW_CALLABLES, SET, SPEC, allowed_callables, read_spec
from airflow_provider_aiopt.cli.progress import shown_progress
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.exceptions import AioptError, SpecError
from airflow_provider_aiopt.spec.profile import PROFILE_KINDS
from airflow_provider_aiopt.telemetry.hardware.stage import DEFAULT_INTERVAL_S
from airflow_provider_aiopt.telemetry.metrics import MetricsSink, NullMetrics
from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.runner.profiling import Profiler

_DESCRIPTION = """\
Run a pipeline's four stages in this process: the same code and the same results as in Airflow, in either
mode.

A run that was killed goes on where it stopped when it is started again with the same --run-id.

exit codes: 0 finished, 1 failed, 2 wrong usage
"""


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.runner.staged import run_pipeline
    from airflow_provider_aiopt.runner.streaming import run_streaming
    from airflow_provider_aiopt.telemetry.run_report import load_run_report

    spec = read_spec(arguments.spec, arguments.set)
    run_id = arguments.run_id or datetime.now(UTC).strftime("run-%Y%m%dT%H%M%S.%fZ")
    base = f"{arguments.work_dir.rstrip('/')}/{spec.name}"
    workspace = Workspace.open(f"{base}/{run_id}", resolver=arguments.resolver)
    with (
        _metrics(arguments.statsd) as metrics,
        shown_progress(sys.stderr, wanted=not arguments.json) as progress,
    ):
        context = RunContext(
            spec=spec,
            workspace=workspace,
            resolver=arguments.resolver,
            metrics=metrics,
            allowed_callables=allowed_callables(arguments.allow_callables),
            progress=progress,
            hardware_interval_s=arguments.hardware_interval,
            profiler=_profiler(arguments),
        )
        if arguments.mode == "streaming":
            run_streaming(context)
        else:
            run_pipeline(context)
    report = _beside_earlier_runs(load_run_report(workspace.root), workspace, base, arguments)
    if arguments.json:
        from airflow_provider_aiopt.telemetry.export import json_text

        sys.stdout.write(json_text(report))
    else:
        _print(report, context, limit=arguments.show)
    return ExitCode.OK


def _profiler(arguments: argparse.Namespace) -> Profiler | None:
    if arguments.profile is None:
        return None
    from airflow_provider_aiopt.profiling.profiler import make_profiler

    return make_profiler(
        arguments.profile,
        arguments.profile_stage,
        functions=arguments.profile_function,
        allowed_callables=allowed_callables(arguments.allow_callables),
    )


def _beside_earlier_runs(
    report: RunReport, workspace: Workspace, base: str, arguments: argparse.Namespace
) -> RunReport:
    """Mark the stages that have changed, where earlier runs are at hand: a remote folder takes seconds."""
    from airflow_provider_aiopt.data.folder import Folder
    from airflow_provider_aiopt.telemetry.history import against_history

    if not workspace.root.is_local:
        return report
    try:
        return against_history(report, Folder.open(base, resolver=arguments.resolver))
    except AioptError as error:  # of somebody else's run: this one has succeeded
        complain(f"this run is not compared with earlier ones: {error}")
        return report


def _metrics(address: str | None) -> AbstractContextManager[MetricsSink]:
    if address is None:
        return nullcontext(NullMetrics())
    from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics, parse_address

    try:
        return StatsdMetrics(*parse_address(address))
    except ValueError as error:
        raise SpecError(f"--statsd: {error}") from None


def _print(report: RunReport, context: RunContext, *, limit: int) -> None:
    from airflow_provider_aiopt.advisor.diagnosis import diagnose
    from airflow_provider_aiopt.advisor.texts import one_line
    from airflow_provider_aiopt.cli.results import quarantine_table, results_table
    from airflow_provider_aiopt.runner.results import results_folder
    from airflow_provider_aiopt.telemetry.profile_lines import profile_lines
    from airflow_provider_aiopt.telemetry.table import stage_table

    workspace = context.workspace
    console = stdout_console()
    if limit:
        console.print(results_table(results_folder(context), limit=limit), end="\n\n")
    if limit and report.quarantined:
        console.print(quarantine_table(workspace.quarantine, limit=limit), end="\n\n")
    console.print(stage_table(report), end="\n\n")
    console.print(one_line(diagnose(report)), markup=False, highlight=False, soft_wrap=True)
    for line in profile_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for title, uri in (("Results", report.results_uri), ("Workspace", workspace.uri)):
        console.print(f"{title}: {uri}", markup=False, highlight=False, soft_wrap=True)


COMMAND = Command(
    name="run",
    help="run a pipeline here, without Airflow",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        SPEC,
        SET,
        argument(
            "--mode",
            choices=("staged", "streaming"),
            default="staged",
            help="streaming: all stages at once, nothing written between them; "
            "staged: one after the other, with shards between them (default)",
        ),
        argument(
            "--work-dir",
            default="runs",
            metavar="DIR",
            help="folder or URL that keeps the runs, as pipeline name / run id (default: runs)",
        ),
        argument(
            "--run-id",
            metavar="ID",
            help="name of the run; give an earlier one's to resume it (default: new)",
        ),
        argument(
            "--show",
            type=whole,
            default=10,
            metavar="N",
            help="print the first N results and quarantined records (default: 10, 0: none)",
        ),
        ALLOW_CALLABLES,
        argument("--json", action="store_true", help="print the run report as JSON and nothing else"),
        argument(
            "--hardware-interval",
            type=interval,
            default=DEFAULT_INTERVAL_S,
            metavar="S",
            help="seconds between two samples of CPU, memory, disk, network and GPU (default: 1, 0: none)",
        ),
        argument(
            "--profile",
            choices=PROFILE_KINDS,
            metavar="KIND",
            help=f"profile the stages ({', '.join(PROFILE_KINDS)}); files go to profiles/ of the workspace",
        ),
        argument(
            "--profile-stage",
            choices=STAGES,
            metavar="STAGE",
            help="the only stage to profile (default: all)",
        ),
        argument(
            "--profile-function",
            action="append",
            default=[],
            metavar="PATH",
            help="with --profile line: dotted path of a function, class or module, allowed as by "
            "--allow-callables; may be repeated (default: the stage's own)",
        ),
        argument("--statsd", metavar="HOST:PORT", help="send the stages' metrics to this StatsD server"),
    ),
)
