"""``aiopt tune``: the settings with which a pipeline is fastest on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.numbers import byte_size, count, duration, share
from airflow_provider_aiopt.cli.options import ALLOW_CALLABLES, SET, SPEC, allowed_callables, read_spec
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.telemetry.export import write_bytes

if TYPE_CHECKING:
    from airflow_provider_aiopt.spec.pipeline import PipelineSpec
    from airflow_provider_aiopt.tuning.models import Trial, TuneReport
    from airflow_provider_aiopt.tuning.search import Tuner

_DESCRIPTION = """\
Search the settings with which a pipeline is fastest on this machine, and prove that they are.

Each trial streams the first records of the source in a process of its own, under the spec's own settings
first. What falls behind is given up early; what crashes, hangs or breaks a limit costs one trial. In the end
the best are measured again in turn with the spec as it is: where a gain is not established, no change is
recommended. It prints the change as a diff, and Airflow's options that go with it.

Ctrl-C ends the search and keeps what was found; --resume goes on.

exit codes: 0 done, with or without a change, 1 failed, 2 wrong usage, 130 interrupted
"""

_JOURNAL = "study.journal"
_NEWEST = ""


def _run(arguments: argparse.Namespace) -> int:
    spec = read_spec(arguments.spec, arguments.set)
    home = Path(arguments.work_dir) / "tune" / spec.name
    resume = arguments.resume is not None
    journal = _journal(home, arguments.resume) if resume else home / _stamp() / _JOURNAL
    tuner = _tuner(spec, arguments, journal.parent / "work")
    report = tuner.run(journal, resume=resume)
    text = Path(arguments.spec).read_text(encoding="utf-8-sig")
    _show(report, arguments, text, journal)
    if arguments.apply and report.changes:
        write_bytes(arguments.spec, _changed(arguments.spec, text, report).encode())
        sys.stderr.write(f"{arguments.spec} is changed\n")
    return ExitCode.INTERRUPTED if report.ended == "interrupted" else ExitCode.OK


def _tuner(spec: PipelineSpec, arguments: argparse.Namespace, folder: Path) -> Tuner:
    from airflow_provider_aiopt.compare.models import Settings
    from airflow_provider_aiopt.tuning.attempt import Measuring
    from airflow_provider_aiopt.tuning.machine import this_machine
    from airflow_provider_aiopt.tuning.models import Limits, Rounds
    from airflow_provider_aiopt.tuning.options import Options, Watch
    from airflow_provider_aiopt.tuning.search import Tuner
    from airflow_provider_aiopt.tuning.variants import sibling_models

    siblings = () if arguments.keep_model else sibling_models(spec.model)
    return Tuner(
        spec,
        this_machine(spec),
        Measuring(
            arguments.objective,
            Limits(arguments.max_latency, arguments.max_memory),
            stall_s=arguments.stall,
        ),
        Rounds(min_agreement=arguments.min_agreement, settings=Settings(seed=arguments.seed)),
        Options(
            budget_s=arguments.budget,
            most_trials=arguments.trials,
            records=arguments.sample,
            models=(*siblings, *arguments.model),
            only=dict(map(_searched, arguments.search)),
            guess=not arguments.no_guesses,
            seed=arguments.seed,
        ),
        folder=folder,
        resolver=arguments.resolver,
        allowed_callables=allowed_callables(arguments.allow_callables),
        watch=_watch(arguments, Watch),
    )


def _watch(arguments: argparse.Namespace, make: Any) -> Any:
    from airflow_provider_aiopt.tuning.rendering import trial_line

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def on_space(space: Any, sample: Any) -> None:
        keys = ", ".join(f"{item.key} ({len(item.values)})" for item in space.dimensions)
        say(f"{space.size} configurations of {keys}; {sample.records} of {sample.total} records")

    def on_trial(trial: Trial, best: Trial | None) -> None:
        say(trial_line(trial, best, arguments.objective))

    def on_round(number: int, rounds: int) -> None:
        if number == 1:
            say(f"measuring the best again in turn with the spec as it is, {rounds} rounds")

    return make(space=on_space, trial=on_trial, round=on_round)


def _show(report: TuneReport, arguments: argparse.Namespace, text: str, journal: Path) -> None:
    from airflow_provider_aiopt.tuning.airflow_settings import as_cfg, as_environment
    from airflow_provider_aiopt.tuning.rendering import curve_table, result_table, summary_lines, write_plot
    from airflow_provider_aiopt.tuning.spec_file import unified_diff

    for path in arguments.plot:
        write_plot(report, path)
    if arguments.airflow and report.airflow:
        environment = arguments.airflow.endswith(".env")
        rendered = as_environment(report.airflow) if environment else as_cfg(report.airflow)
        write_bytes(arguments.airflow, rendered.encode())
    diff = ""
    if report.changes:
        diff = unified_diff(text, _changed(arguments.spec, text, report), arguments.spec)
    if arguments.diff:
        write_bytes(arguments.diff, diff.encode())
    if arguments.json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
        return
    console = stdout_console()
    console.print(curve_table(report))
    if report.finalists:
        console.print(result_table(report))
    for line in summary_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if diff:
        sys.stdout.write(f"\n{diff}")
        sys.stdout.write(f"\nAirflow, for each worker machine of this kind:\n\n{as_cfg(report.airflow)}")
    if report.ended == "interrupted":
        complain(f"interrupted. Go on with: aiopt tune {arguments.spec} --resume {journal}")


def _changed(path: str, text: str, report: TuneReport) -> str:
    from airflow_provider_aiopt.tuning.spec_file import changed_text

    return changed_text(text, report.changes, is_json=Path(path).suffix == ".json")


def _journal(home: Path, given: str) -> Path:
    """Return the journal to go on with: the one that is named, or the newest of this pipeline."""
    if given != _NEWEST:
        path = Path(given)
        if not path.is_file():
            raise TuningError(f"There is no study in {path}. Without --resume a new one begins")
        return path
    known: Sequence[Path] = sorted(home.glob(f"*/{_JOURNAL}"))
    if not known:
        raise TuningError(f"There is no study of this pipeline in {home}. Without --resume a new one begins")
    return known[-1]


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _searched(text: str) -> tuple[str, tuple[Any, ...]]:
    import yaml

    key, equals, values = text.partition("=")
    try:
        found = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        found = None
    if not equals or not key or not isinstance(found, list) or any(isinstance(v, Mapping) for v in found):
        raise TuningError(
            f"--search takes KEY=VALUE,VALUE, for example execution.workers=1,2,4; found {text!r}"
        )
    return key, tuple(found)


COMMAND = Command(
    name="tune",
    help="search the settings with which a pipeline is fastest here, and prove that they are",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        SPEC,
        SET,
        argument(
            "--objective",
            choices=("throughput", "latency"),
            default="throughput",
            help="records per second (default), or the 95th percentile of the times of batches, from read to "
            "results",
        ),
        argument(
            "--max-latency",
            type=duration,
            metavar="TIME",
            help="what that percentile may be at most, such as 200ms",
        ),
        argument(
            "--max-memory",
            type=byte_size,
            metavar="SIZE",
            help="resident memory of the process and its descendants at most, such as 2GiB",
        ),
        argument(
            "--budget",
            type=duration,
            default=300.0,
            metavar="TIME",
            help="time for all of it, measuring the best again included (default: 5m)",
        ),
        argument("--trials", type=count, metavar="N", help="configurations to try at most"),
        argument(
            "--sample",
            type=count,
            default=4096,
            metavar="N",
            help="records of the source, the first ones, that trials run on (default: 4096)",
        ),
        argument(
            "--search",
            action="append",
            default=[],
            metavar="KEY=V,V",
            help="values of a key, in the place of all that would be searched; may be repeated",
        ),
        argument(
            "--model",
            action="append",
            default=[],
            metavar="URI",
            help="another model that may answer in the model's place; may be repeated. Folders beside it "
            "that aiopt model quantize made of it are found",
        ),
        argument("--keep-model", action="store_true", help="do not look for such folders"),
        argument(
            "--min-agreement",
            type=share,
            default=0.98,
            metavar="X",
            help="share of the records that must be answered as the spec as it is does (default: 0.98)",
        ),
        argument(
            "--no-guesses",
            action="store_true",
            help="do not begin with settings that are known to be good on such a machine",
        ),
        argument(
            "--stall",
            type=duration,
            default=60.0,
            metavar="TIME",
            help="time without results after which a trial counts as hung (default: 60s)",
        ),
        argument(
            "--resume",
            nargs="?",
            const=_NEWEST,
            metavar="STUDY",
            help="go on with a study, for another budget; default: the newest of this pipeline",
        ),
        argument("--seed", type=int, default=0, metavar="N", help="of the search (default: 0)"),
        argument(
            "--work-dir",
            default="runs",
            metavar="DIR",
            help="local folder that keeps studies, as tune/NAME/TIME/study.journal (default: runs)",
        ),
        ALLOW_CALLABLES,
        argument("--apply", action="store_true", help="write the change to the spec file"),
        argument("--diff", metavar="FILE", help="write the change as a unified diff"),
        argument(
            "--airflow",
            metavar="FILE",
            help="write Airflow's options, as a part of airflow.cfg, or of an environment file for .env",
        ),
        argument("--json", action="store_true", help="print the report as JSON and nothing else"),
        argument(
            "--plot",
            action="append",
            default=[],
            metavar="FILE",
            help="draw the search's curve to a .png or .svg file; may be repeated",
        ),
    ),
)
