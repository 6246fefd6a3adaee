"""``make demo``: classify six photographs on a real Airflow and say where the time went.

Starts an Airflow of its own in ``.demo/airflow``, runs the DAG ``image_classification`` on
``examples/photographs``, prints what was recognised and how long each stage took, writes the figures as CSV,
JSON and charts, and stops everything.  With ``--keep`` Airflow stays up until Ctrl-C.

Exit codes: 0 all photographs were classified, 1 something went wrong (the message says what, with the end of
the log that explains it), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from demo_view import RunProgress
from local_airflow import TAIL_LINES, LocalAirflow, LocalAirflowError
from rich.console import Console

from airflow_provider_aiopt.cli.results import results_table
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import AioptError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi
from airflow_provider_aiopt.telemetry.export import write_csv, write_json
from airflow_provider_aiopt.telemetry.plot import write_plot
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.telemetry.table import stage_table

DAG_ID = "image_classification"
REPOSITORY = Path(__file__).resolve().parent.parent


class DemoFailedError(LocalAirflowError):
    """The DAG run ended, but not well."""


class Demo:
    """One demonstration, from an empty work folder to the printed report.

    :param folder: where everything is kept
    :param photographs: the folder with the photographs
    :param timeout: how many seconds the DAG run may take
    :param console: where to print
    """

    def __init__(self, folder: Path, photographs: Path, timeout: float, console: Console) -> None:
        self._folder = folder.resolve()
        self._photographs = photographs.resolve()
        self._timeout = timeout
        self._console = console
        self._runs = self._folder / "runs"

    def run(self, *, keep: bool) -> None:
        """Run it all; with *keep*, wait for Ctrl-C before Airflow is stopped."""
        began = time.monotonic()
        home = self._folder / "airflow"
        # No retries: whoever watches wants to hear of an error at once.
        env = {"AIRFLOW__AIOPT__WORK_DIR": str(self._runs), "AIRFLOW__AIOPT__RETRIES": "0"}
        self._say(f"Starting Airflow {version('apache-airflow')} in {_shown(home)}")
        with LocalAirflow(home, REPOSITORY / "dags", env=env) as airflow:
            self._say(f"Airflow is ready after {time.monotonic() - began:.1f} s")
            run_id = self._run_dag(airflow)
            times = AirflowApi(airflow.url, token=airflow.token()).task_times(DAG_ID, run_id)
            workspace = Folder.open(str(self._runs / DAG_ID / run_id))
            report = load_run_report(workspace, task_times=times)
            self._show(report, workspace)
            if keep:
                self._say(f"Done in {time.monotonic() - began:.1f} s")
                self._keep(airflow)
        if not keep:
            self._say(f"Airflow is stopped. All in {time.monotonic() - began:.1f} s")

    def _run_dag(self, airflow: LocalAirflow) -> str:
        airflow.wait_for_dag(DAG_ID, file=f"{DAG_ID}.py")
        # An interrupted demonstration may have left a run, which would go on now and take this one's time.
        for left in airflow.dag_runs(DAG_ID, states=("queued", "running")):
            airflow.set_run_state(DAG_ID, left["dag_run_id"], "failed")
        shutil.rmtree(self._runs, ignore_errors=True)
        airflow.unpause(DAG_ID)
        run_id = airflow.trigger(
            DAG_ID, {"source": str(self._photographs)}, run_id=f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        )
        self._say(f"Running the DAG {DAG_ID} on {_shown(self._photographs)}, run {run_id}")
        with RunProgress(self._console) as progress:
            state = airflow.wait_for_run(DAG_ID, run_id, timeout=self._timeout, on_update=progress.update)
        if state != "success":
            raise DemoFailedError(_explain(airflow, run_id))
        return run_id

    def _show(self, report: RunReport, workspace: Folder) -> None:
        self._console.print()
        self._console.print(results_table(workspace.child("results"), limit=report.results))
        self._console.print()
        self._console.print(stage_table(report))
        self._console.print()
        for what, name, write in (
            ("Stage times as CSV", "stages.csv", write_csv),
            ("Chart as PNG", "stages.png", write_plot),
            ("Chart as SVG", "stages.svg", write_plot),
            ("Run report as JSON", "report.json", write_json),
        ):
            path = self._folder / name
            write(report, path)
            self._say(f"{what + ':':<20} {_shown(path)}")
        self._say(f"{'Shards and results:':<20} {_shown(Path(workspace.uri))}")
        if report.results != report.records_in:
            raise DemoFailedError(
                f"{report.quarantined} of {report.records_in} photographs could not be classified: see "
                f"{report.quarantine_uri}"
            )

    def _say(self, line: str) -> None:
        # Not broken into lines: a path or a password is to be copied.
        self._console.print(line, soft_wrap=True)

    def _keep(self, airflow: LocalAirflow) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self._say(f"\nAirflow stays up at {airflow.url}")
            self._say(f"Log in as {airflow.username} with the password {airflow.password}")
            self._say("Press Ctrl-C here to stop it.")
            while True:
                airflow.watch(3600)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and return the exit code."""
    options = _parser().parse_args(argv)
    # As Ctrl-C does: unwind, and stop Airflow on the way.
    signal.signal(signal.SIGTERM, _terminate)
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False, markup=False)
    demo = Demo(options.folder, options.photographs, options.timeout, console)
    try:
        demo.run(keep=options.keep)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except (AioptError, LocalAirflowError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo.py", description="Classify photographs on a real Airflow.")
    parser.add_argument("--keep", action="store_true", help="leave Airflow running until Ctrl-C")
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".demo", help="where to keep everything (default: .demo)"
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        default=REPOSITORY / "examples" / "photographs",
        help="the photographs to classify (default: examples/photographs)",
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="how many seconds the DAG run may take (default: 120)"
    )
    return parser


def _explain(airflow: LocalAirflow, run_id: str) -> str:
    failed = [task for task in airflow.task_instances(DAG_ID, run_id) if task["state"] == "failed"]
    names = ", ".join(f"{task['task_id']}[{task['map_index']}]" for task in failed)
    if not failed:
        return f"the DAG run {run_id} failed without a failed task. See {airflow.logs / 'scheduler.log'}"
    first = min(failed, key=lambda task: str(task["end_date"]))
    log = airflow.task_logs(
        DAG_ID, run_id, first["task_id"], map_index=first["map_index"], try_number=first["try_number"]
    )
    end = "\n".join(log.splitlines()[-TAIL_LINES:])
    return f"the DAG run {run_id} failed in {names}. The last lines of the first one's log:\n{end}"


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _terminate(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
