"""``aiopt watch``: start a run for every upload, past the triggerer."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.airflow_access import CREDENTIALS_NOTE, airflow_api, api_arguments, known_url
from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.numbers import count, limit, whole
from airflow_provider_aiopt.cli.report import default_work_dir

if TYPE_CHECKING:
    from airflow_provider_aiopt.direct.health import Health
    from airflow_provider_aiopt.direct.service import DirectService
    from airflow_provider_aiopt.direct.starter import RunStarter
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec

_DESCRIPTION = f"""\
Watch a folder or bucket and create a run of a DAG for its new objects, through Airflow's public API: sooner
than the triggerer could, whose cycle takes a second. The DAG begins with a PipelineOperator(uploads=...) or a
TakeUploadsOperator for the same location, as image_classification_on_upload does.

Each version of each object gets one run of the DAG, also with several of these services side by side and
through crashes of any of them. While Airflow does not answer, uploads are kept in the uploads dir. It ends on
SIGTERM or Ctrl-C.

{CREDENTIALS_NOTE}

exit codes: 0 told to stop, 1 the location, its state or the address is wrong, 2 wrong usage
"""


def _run(arguments: argparse.Namespace) -> int:
    url = known_url(arguments)
    if url is None:
        complain("watch: which Airflow? Give --airflow-url, or set AIOPT_AIRFLOW_URL")
        return ExitCode.USAGE
    asyncio.run(_serve(arguments, _spec(arguments), url))
    return ExitCode.OK


def _spec(arguments: argparse.Namespace) -> UploadWatchSpec:
    from airflow_provider_aiopt.spec.uploads import load_watch_spec

    given = {
        "uri": arguments.uri,
        "pattern": arguments.pattern or None,
        "recursive": arguments.recursive or None,
        "min_age_s": arguments.min_age,
        "settle_s": arguments.settle,
        "window_s": arguments.window,
        "max_batch": arguments.max_batch,
        "existing": arguments.existing,
        "poll_interval_s": arguments.poll_interval,
        "state": _state(arguments),
    }
    return load_watch_spec({key: value for key, value in given.items() if value is not None})


def _state(arguments: argparse.Namespace) -> str:
    given = arguments.uploads_dir or os.environ.get("AIRFLOW__AIOPT__UPLOADS_DIR")
    if given:
        return str(given)
    work_dir = os.environ.get("AIRFLOW__AIOPT__WORK_DIR") or default_work_dir()
    return f"{work_dir.rstrip('/')}/uploads"


async def _serve(arguments: argparse.Namespace, spec: UploadWatchSpec, url: str) -> None:
    from airflow_provider_aiopt.direct.health import HealthServer
    from airflow_provider_aiopt.direct.service import DirectService
    from airflow_provider_aiopt.direct.starter import RunStarter
    from airflow_provider_aiopt.uploads.state import open_state
    from airflow_provider_aiopt.uploads.watching import watch

    state = await asyncio.to_thread(open_state, spec, resolver=arguments.resolver, consumer=arguments.dag_id)
    starter = RunStarter(arguments.dag_id, spec, state, airflow_api(arguments, url))
    service = DirectService(
        lambda on_ready: watch(spec, state=state, resolver=arguments.resolver, on_ready=on_ready),
        starter,
        on_ready=lambda: _say(f"watching {spec.uri} for {arguments.dag_id}"),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    if arguments.health_port is None:
        await service.run()
        return
    host = arguments.health_host
    with HealthServer(host, arguments.health_port, lambda: _health(service, starter)) as server:
        _say(f"health at http://{host}:{server.port}/health")
        await service.run()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _health(service: DirectService, starter: RunStarter) -> Health:
    from airflow_provider_aiopt.direct.health import Health

    counts = starter.counts
    with counts.lock:
        return Health(
            watching=service.watching,
            pending=service.pending,
            uploads=counts.uploads,
            runs=counts.runs,
            duplicates=counts.duplicates,
            failures=counts.failures,
            latency_s=counts.latency_s,
            trouble=counts.trouble,
        )


COMMAND = Command(
    name="watch",
    help="start a run of a DAG for every new object of a folder or bucket",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("uri", metavar="URI", help="the folder to watch: an absolute path or a URL"),
        argument("--dag-id", metavar="DAG_ID", required=True, help="the DAG to run"),
        argument("--pattern", action="append", default=[], metavar="GLOB", help="may be repeated"),
        argument("--recursive", action="store_true", help="watch sub-folders, too"),
        argument(
            "--max-batch",
            type=count,
            metavar="N",
            help="most objects in one run; 1 gives each a run of its own",
        ),
        argument(
            "--window",
            type=limit,
            metavar="SECONDS",
            help="collect uploads for so long before they become a run",
        ),
        argument(
            "--settle",
            type=limit,
            metavar="SECONDS",
            help="how long a file must not change, where its writer closes and opens it again",
        ),
        argument(
            "--min-age",
            type=limit,
            metavar="SECONDS",
            help="how long an object must have been seen",
        ),
        argument(
            "--poll-interval",
            type=float,
            metavar="SECONDS",
            help="between listings of remote storage",
        ),
        argument(
            "--existing",
            choices=("skip", "offer"),
            help="what becomes of objects that are there at the very first start; skip by default",
        ),
        argument(
            "--uploads-dir",
            metavar="DIR",
            help="where the claims lie; $AIRFLOW__AIOPT__UPLOADS_DIR or uploads in the work dir by default",
        ),
        argument(
            "--health-port",
            type=whole,
            metavar="PORT",
            help="answer /health and Prometheus' /metrics there; 0 for a free port",
        ),
        argument("--health-host", default="127.0.0.1", metavar="HOST", help="127.0.0.1 by default"),
        *api_arguments("the Airflow that runs the DAG"),
    ),
)
