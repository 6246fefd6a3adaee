"""``aiopt simulate``: what a measured pipeline would do in another configuration, and what a load needs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.airflow_access import CREDENTIALS_NOTE, api_arguments, named_url
from airflow_provider_aiopt.cli.command import Argument, Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.numbers import count, limit
from airflow_provider_aiopt.cli.report import load_report
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.exceptions import ReportError, SimulationError

if TYPE_CHECKING:
    from airflow_provider_aiopt.simulation.arrivals import Batching, Load
    from airflow_provider_aiopt.simulation.configuration import Configuration
    from airflow_provider_aiopt.simulation.prediction import Prices
    from airflow_provider_aiopt.simulation.service import Calibration
    from airflow_provider_aiopt.telemetry.reports import RunReport

_DESCRIPTION = f"""\
Say what the pipeline of measured runs would do in another configuration, by discrete-event simulation.

RUN is a run's workspace, DAG_ID/RUN_ID within the work directory, a file of `aiopt report RUN --json`, or
one of --save-calibration. Several runs of one pipeline tell more. With an Airflow URL, or in a report that
was made with one, Airflow's own times are measured; without, they are estimates.

  aiopt simulate RUN --shards 8 --workers 4 --active-runs 2 --pool-slots 1
  aiopt simulate RUN --workers 1,2,4 --shards 4,8            a table of all combinations
  aiopt simulate RUN --arrivals 10_000_000/day --p95 60s     the cheapest that meets the goal

{CREDENTIALS_NOTE}

exit codes: 0 answered, 1 no usable report or nothing meets the goal, 2 wrong usage
"""

_FIELDS = {
    "shards": "parts that a run's records are cut into (default: as measured)",
    "machines": "machines with workers (default: 1)",
    "workers": "tasks at once on each machine: [core] parallelism, [celery] worker_concurrency (default: 32)",
    "cores": "cores of each machine (default: as measured)",
    "active_runs": "max_active_runs (default: 16)",
    "active_tasks": "max_active_tasks of a run (default: 16)",
    "pool_slots": "slots of the pool of tasks that run the model (default: 128)",
    "cpu_pool_slots": "slots of the pool of the other tasks (default: 128)",
    "gpus": "GPUs, each for one task that runs the model at a time (default: 0)",
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def _run(arguments: argparse.Namespace) -> int:
    if arguments.p95 is not None and arguments.arrivals is None:
        complain("simulate: --p95 needs a load. Give --arrivals, such as 10_000_000/day")
        return ExitCode.USAGE
    calibration = _calibration(arguments)
    if arguments.save_calibration:
        Path(arguments.save_calibration).write_text(calibration.model_dump_json(indent=2) + "\n", "utf-8")
    _check_gpus(arguments, calibration)
    if arguments.arrivals is None:
        values, output = _predict(arguments, calibration)
    elif arguments.p95 is None:
        values, output = _serve(arguments, calibration)
    else:
        values, output = _plan(arguments, calibration)
    _show(arguments, calibration, values, output)
    return ExitCode.OK


def _calibration(arguments: argparse.Namespace) -> Calibration:
    from airflow_provider_aiopt.simulation.calibration import calibrate
    from airflow_provider_aiopt.simulation.loading import read_file
    from airflow_provider_aiopt.simulation.service import Calibration

    found: list[RunReport | Calibration] = []
    for run in arguments.runs_measured:
        if run.endswith(".json"):
            try:
                content = Path(run).read_bytes()
            except OSError as error:
                raise ReportError(f"{run} cannot be read: {error}") from error
            found.append(read_file(content, run))
        else:
            found.append(load_report(arguments, run, named_url(arguments)))
    known = [item for item in found if isinstance(item, Calibration)]
    if known and len(found) > 1:
        raise ReportError(
            "A calibration stands for all runs that it was made from: give it alone, or give runs"
        )
    made = known[0] if known else calibrate([item for item in found if not isinstance(item, Calibration)])
    changes = {} if arguments.neighbours is None else {"neighbours": arguments.neighbours, "crowded": False}
    return made.model_copy(update=changes)


def _check_gpus(arguments: argparse.Namespace, calibration: Calibration) -> None:
    measured = any(step.gpu_share for step in calibration.steps)
    if any(arguments.gpus or ()) and not measured:
        raise SimulationError(
            "The measured runs used no GPU, so that nothing tells how long one would take. Measure a run "
            "with model.device cuda, or leave --gpus out"
        )


def _predict(arguments: argparse.Namespace, calibration: Calibration) -> tuple[Any, list[Any]]:
    from airflow_provider_aiopt.simulation.prediction import predict
    from airflow_provider_aiopt.simulation.rendering import prediction_table

    prices = _prices(arguments)
    found = [
        predict(
            calibration,
            configuration,
            runs=arguments.runs,
            items=arguments.items,
            repetitions=arguments.repetitions,
            seed=arguments.seed,
            prices=prices,
        )
        for configuration in _grid(arguments, calibration)
    ]
    return {"predictions": found}, [prediction_table(found, _given(arguments), priced=_priced(arguments))]


def _serve(arguments: argparse.Namespace, calibration: Calibration) -> tuple[Any, list[Any]]:
    from airflow_provider_aiopt.simulation.rendering import service_table
    from airflow_provider_aiopt.simulation.steady import Horizon, serve

    load, batching = _load(arguments), _batching(arguments)
    horizon = Horizon(repetitions=min(arguments.repetitions, 5), seed=arguments.seed)
    found = [
        serve(calibration, configuration, load, batching, horizon)
        for configuration in _grid(arguments, calibration)
    ]
    return {"services": found}, [service_table(found, _given(arguments))]


def _plan(arguments: argparse.Namespace, calibration: Calibration) -> tuple[Any, list[Any]]:
    from airflow_provider_aiopt.simulation.planning import Search, plan
    from airflow_provider_aiopt.simulation.rendering import plan_lines
    from airflow_provider_aiopt.simulation.steady import Horizon

    bases = _grid(arguments, calibration)
    if len(bases) > 1:
        raise SimulationError(
            "With --p95 the search chooses: give one value of what is fixed, and leave the rest out"
        )
    fixed = frozenset(_given(arguments))
    batching = None if arguments.window is None and arguments.max_batch is None else _batching(arguments)
    found = plan(
        calibration,
        _load(arguments),
        arguments.p95,
        Search(bases[0], fixed, batching),
        prices=_prices(arguments),
        horizon=Horizon(seed=arguments.seed),
    )
    return {"plan": found}, plan_lines(found, priced=_priced(arguments))


def _grid(arguments: argparse.Namespace, calibration: Calibration) -> tuple[Configuration, ...]:
    from airflow_provider_aiopt.simulation.configuration import grid, measured_configuration

    values = {key: getattr(arguments, key) for key in _given(arguments)}
    return grid(measured_configuration(calibration), values)


def _given(arguments: argparse.Namespace) -> list[str]:
    return [key for key in _FIELDS if getattr(arguments, key) is not None]


def _load(arguments: argparse.Namespace) -> Load | list[float]:
    from airflow_provider_aiopt.simulation.arrivals import Load, parse_rate, read_times

    path = Path(arguments.arrivals)
    if path.is_file():
        return read_times(path)
    return Load(parse_rate(arguments.arrivals), arguments.pattern, arguments.peak, arguments.burst)


def _batching(arguments: argparse.Namespace) -> Batching:
    from airflow_provider_aiopt.simulation.arrivals import Batching

    window_s = 1.0 if arguments.window is None else arguments.window
    return Batching(window_s, arguments.max_batch or 100, arguments.event_delay)


def _prices(arguments: argparse.Namespace) -> Prices:
    from airflow_provider_aiopt.simulation.prediction import Prices

    return Prices(arguments.machine_hour or 0.0, arguments.gpu_hour or 0.0)


def _priced(arguments: argparse.Namespace) -> bool:
    return bool(arguments.machine_hour or arguments.gpu_hour)


def _show(
    arguments: argparse.Namespace, calibration: Calibration, values: dict[str, Any], output: Iterable[Any]
) -> None:
    from airflow_provider_aiopt.simulation.rendering import assumptions, plain

    cores = arguments.cores or [calibration.cores]
    notes = assumptions(calibration, on_the_measured=set(cores) == {calibration.cores})
    if arguments.json:
        content = {**plain(values), "assumptions": notes, "seed": arguments.seed}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    console = stdout_console()
    for item in output:
        console.print(item, markup=False, highlight=False, soft_wrap=True)
    console.print()
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def duration(text: str) -> float:
    """Read a duration such as ``60s``, ``1.5min`` or a number of seconds.

    :raises argparse.ArgumentTypeError: if it is none
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; give seconds, or 500ms, 60s, 5min, 1h")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def goal(text: str) -> float:
    """Read a duration above 0.

    :raises argparse.ArgumentTypeError: if it is none, or 0
    """
    seconds = duration(text)
    if not seconds:
        raise argparse.ArgumentTypeError("0 is not allowed: nothing has results at once")
    return seconds


def peak(text: str) -> float:
    """Read a number from 1 to 2.

    :raises argparse.ArgumentTypeError: if it is another, or no number
    """
    number = float(text)
    if not 1 <= number <= 2:  # noqa: PLR2004 - beyond, a sine's other half would be below 0
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give 1 to 2")
    return number


def whole_numbers(text: str) -> list[int]:
    """Read whole numbers that are separated by commas.

    :raises argparse.ArgumentTypeError: if one is no number from 0 on
    """
    found = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give numbers such as 1,2,4")
    return list(map(int, found))


def _at_least_one(text: str) -> list[int]:
    found = whole_numbers(text)
    if 0 in found:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give numbers from 1 on, such as 1,2,4")
    return found


def _field(name: str, help_text: str) -> Argument:
    read = whole_numbers if name == "gpus" else _at_least_one
    return argument(f"--{name.replace('_', '-')}", type=read, metavar="N[,N...]", help=help_text)


COMMAND = Command(
    name="simulate",
    help="say what another configuration would do, and what a load needs",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("runs_measured", nargs="+", metavar="RUN", help="a measured run, see above"),
        *(_field(name, text) for name, text in _FIELDS.items()),
        argument("--runs", type=count, default=1, metavar="N", help="runs created together (default: 1)"),
        argument("--items", type=count, metavar="N", help="records of each run (default: as measured)"),
        argument(
            "--arrivals",
            metavar="RATE_OR_FILE",
            help="a load that goes on, such as 10_000_000/day or 5/s, or a CSV file with times of uploads",
        ),
        argument(
            "--p95",
            type=goal,
            metavar="DURATION",
            help="search the cheapest configuration with 95 %% of the results that soon after the upload",
        ),
        argument(
            "--pattern",
            choices=("poisson", "constant", "daily", "bursts"),
            default="poisson",
            help="how the load comes (default: poisson)",
        ),
        argument(
            "--peak",
            type=peak,
            default=1.5,
            metavar="FACTOR",
            help="of --pattern daily, whose peak is simulated: its rate over the mean, 1 to 2 (default: 1.5)",
        ),
        argument(
            "--burst",
            type=count,
            default=100,
            metavar="N",
            help="of --pattern bursts: records of each (default: 100)",
        ),
        argument(
            "--window", type=duration, metavar="DURATION", help="window_s of NewUploadTrigger (default: 1s)"
        ),
        argument("--max-batch", type=count, metavar="N", help="max_batch of NewUploadTrigger (default: 100)"),
        argument(
            "--event-delay",
            type=duration,
            default=0.5,
            metavar="DURATION",
            help="from the end of the window to the run's creation (default: 0.5s)",
        ),
        argument("--machine-hour", type=limit, metavar="PRICE", help="of a machine with its workers"),
        argument("--gpu-hour", type=limit, metavar="PRICE", help="of a GPU"),
        argument(
            "--neighbours",
            type=limit,
            metavar="CORES",
            help="cores that others than the tasks would use on each machine (default: as measured)",
        ),
        argument(
            "--repetitions", type=count, default=20, metavar="N", help="simulations of each (default: 20)"
        ),
        argument("--seed", type=int, default=0, help="of all draws (default: 0)"),
        argument("--save-calibration", metavar="FILE", help="keep what the runs tell, to give it as RUN"),
        argument("--json", action="store_true", help="print the answer as JSON"),
        argument(
            "--work-dir",
            metavar="DIR",
            help="where DAG_ID/RUN_ID lies; $AIRFLOW__AIOPT__WORK_DIR or $AIRFLOW_HOME/aiopt by default",
        ),
        *api_arguments("measure Airflow's own times by this Airflow"),
    ),
)
