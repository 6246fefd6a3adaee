"""``aiopt stage``: one stage of a run that somebody else drives, as in a pod."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.grace import ended_in_time
from airflow_provider_aiopt.cli.numbers import count, interval
from airflow_provider_aiopt.cli.options import ALLOW_CALLABLES, allowed_callables
from airflow_provider_aiopt.exceptions import AioptError, ShardError, SpecError, StorageError
from airflow_provider_aiopt.runner.work import FIRST_WORK, PIPELINE, WORK
from airflow_provider_aiopt.spec.execution import MAX_SHARDS
from airflow_provider_aiopt.telemetry.hardware.stage import DEFAULT_INTERVAL_S

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.manifest import ShardRef
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.runner.stage_result import StageResult
    from airflow_provider_aiopt.spec.pipeline import PipelineSpec
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity

SPEC_VARIABLE = "AIOPT_SPEC"
XCOM_RESULT = "/airflow/xcom/return.json"
"""Where Airflow's sidecar looks for what a pod returns."""

_DESCRIPTION = """\
Run one stage, the whole pipeline or its plan in this process, for a run that Airflow or another scheduler
drives. Every process that works on the run is given the same spec and the same workspace.

What it made is written as JSON: references to shards for the next stage's --shard, or where the results
are, and the stages' reports.

It obeys SIGTERM within ten seconds; started again, it goes on after the last finished shard.

exit codes: 0 finished, 1 failed and may succeed another time, 2 wrong usage, 3 failed and would fail again,
143 told to end
"""


def _run(arguments: argparse.Namespace) -> int:
    if fault := _usage_fault(arguments):
        complain(fault)
        return ExitCode.USAGE
    from airflow_provider_aiopt.runner.stage_result import StageResult, run_work

    with ended_in_time():
        try:
            context = _context(arguments)
            _hand_on(run_work(context, arguments.stage, arguments.shard), arguments)
        except AioptError as error:
            with suppress(StorageError):  # what went wrong is on standard error in any case
                _hand_on(StageResult.of_error(arguments.stage, error), arguments)
            if error.retryable:
                raise
            complain(str(error))
            return ExitCode.NO_RETRY
    return ExitCode.OK


def _usage_fault(arguments: argparse.Namespace) -> str | None:
    """Return what is wrong with the arguments taken together, None where nothing is."""
    if not (arguments.spec or os.environ.get(SPEC_VARIABLE)):
        return f"no spec: give --spec FILE, inline JSON or '-' for standard input, or set {SPEC_VARIABLE}"
    if arguments.stage in FIRST_WORK and arguments.shard:
        return f"{arguments.stage} begins a run and takes no --shard"
    if arguments.stage not in (*FIRST_WORK, PIPELINE) and not arguments.shard:
        return f"{arguments.stage} needs at least one --shard, a reference that the stage before gave"
    return None


def _context(arguments: argparse.Namespace) -> RunContext:
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.telemetry.progress import LineProgress

    return RunContext(
        spec=_read_spec(arguments.spec or os.environ[SPEC_VARIABLE]),
        workspace=Workspace.open(arguments.workspace, resolver=arguments.resolver),
        resolver=arguments.resolver,
        task=_task(arguments),
        allowed_callables=allowed_callables(arguments.allow_callables),
        max_shards=arguments.max_shards,
        progress=LineProgress(complain),
        hardware_interval_s=arguments.hardware_interval,
    )


def _read_spec(given: str) -> PipelineSpec:
    """Read a spec from a file, from the text itself or from standard input.

    :raises SpecError: naming every fault
    """
    import yaml

    from airflow_provider_aiopt.spec.loading import load_spec

    inline = given.lstrip().startswith("{")
    if not inline and given != "-":
        return load_spec(given)
    where = "The inline spec" if inline else "The spec on standard input"
    try:
        values = yaml.safe_load(given if inline else sys.stdin)  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{where} is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SpecError(f"{where} must be a mapping; found {type(values).__name__}")
    return load_spec(values)


def _task(arguments: argparse.Namespace) -> TaskIdentity | None:
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity

    if arguments.dag_id is None:
        return None
    return TaskIdentity(
        dag_id=arguments.dag_id,
        run_id=arguments.run_id,
        task_id=arguments.task_id or arguments.stage,
        map_index=arguments.map_index,
        try_number=arguments.try_number,
    )


def _hand_on(result: StageResult, arguments: argparse.Namespace) -> None:
    """Write the result where it is wanted: into a file, whole or not at all, and to standard output.

    :raises StorageError: if the file cannot be written
    """
    from airflow_provider_aiopt.data.folder import Folder

    target = arguments.result or (XCOM_RESULT if Path(XCOM_RESULT).parent.is_dir() else None)
    if target:
        parent, _, name = target.rpartition("/")
        folder = Folder.open(parent or ("/" if target.startswith("/") else "."), resolver=arguments.resolver)
        folder.write(name, result.to_json().encode())
    if arguments.json:
        sys.stdout.write(f"{result.to_json()}\n")
    elif not result.error:
        sys.stdout.write(_summary(result))


def _summary(result: StageResult) -> str:
    if result.results_uri:
        return f"{result.results} results in {result.results_uri}\n"
    return "".join(f"{reference}\n" for reference in result.references)


def _reference(text: str) -> ShardRef:
    from airflow_provider_aiopt.data.manifest import ShardRef

    try:
        return ShardRef.parse(text)
    except ShardError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


COMMAND = Command(
    name="stage",
    help="run one stage of a run that Airflow or another scheduler drives",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("stage", choices=WORK, help="what to run"),
        argument(
            "--spec",
            metavar="SPEC",
            help="pipeline spec: a YAML or JSON file, inline JSON that begins with '{', or '-' for standard "
            f"input (default: ${SPEC_VARIABLE}, a file or inline JSON)",
        ),
        argument("--workspace", required=True, metavar="URI", help="the run's folder, a path or URL"),
        argument("--run-id", required=True, metavar="ID", help="the run's name"),
        argument(
            "--shard",
            action="append",
            default=[],
            type=_reference,
            metavar="REF",
            help="a shard to work on, for example ingest/00000; may be repeated",
        ),
        argument("--dag-id", metavar="ID", help="DAG that the run belongs to, for the reports"),
        argument("--task-id", metavar="ID", help="its task (default: the stage)"),
        argument("--map-index", type=int, default=-1, metavar="N", help="index of the mapped task"),
        argument("--try-number", type=count, default=1, metavar="N", help="number of the attempt"),
        argument(
            "--max-shards",
            type=count,
            default=MAX_SHARDS,
            metavar="N",
            help="how many shards execution.shard_bytes may make",
        ),
        ALLOW_CALLABLES,
        argument(
            "--hardware-interval",
            type=interval,
            default=DEFAULT_INTERVAL_S,
            metavar="S",
            help="seconds between two samples of CPU, memory, disk, network and GPU (default: 1, 0: none)",
        ),
        argument(
            "--result",
            metavar="FILE",
            help=f"file or URL for the JSON (default: {XCOM_RESULT} where that folder exists)",
        ),
        argument("--json", action="store_true", help="print the JSON instead of references or results"),
    ),
)
