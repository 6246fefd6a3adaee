"""``aiopt compare``: whether one pipeline is better than another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.numbers import count, share, whole
from airflow_provider_aiopt.cli.options import ALLOW_CALLABLES, allowed_callables, read_spec
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport

if TYPE_CHECKING:
    from airflow_provider_aiopt.compare.models import Comparison, Settings
    from airflow_provider_aiopt.compare.running import Mode, Variant

_DESCRIPTION = """\
Compare pipelines: the first that is named is the baseline, the others are variants.

Of specs (.yaml, .yml, .json) it makes the runs itself, in rounds, each pipeline once in a round and in an
order that changes. With one spec, each --set makes a variant of it: --set execution.batch_size=32
execution.workers=2; mode=streaming runs it streaming. Their results stay in the runs' folder, whatever the
spec's sink.

Of folders it compares the runs that lie there: a run's workspace, or a folder of them. Runs of an earlier
comparison are paired by round.

A verdict needs a number of rounds that is chosen beforehand: do not stop, or go on, because of how it looks.
With --rounds auto the first eight rounds say how much the runs vary, and from this how many are needed.

exit codes: 0 each variant is better or equivalent, 1 failed, or the answers differ, 2 wrong usage, 4 a
variant is worse, 5 inconclusive
"""

_SPECS = (".yaml", ".yml", ".json")
_STDOUT = "-"
_AUTO = "auto"
_MODE = "mode="


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.compare.agreement import check_agreement
    from airflow_provider_aiopt.compare.comparing import overall
    from airflow_provider_aiopt.compare.models import Settings

    if arguments.json and arguments.csv == _STDOUT:
        complain("compare: --json and --csv both want standard output. Give --csv a file")
        return ExitCode.USAGE
    settings = Settings(
        metric=arguments.metric,
        threshold=arguments.threshold,
        effect=arguments.effect,
        alpha=arguments.alpha,
        power=arguments.power,
        seed=arguments.seed,
    )
    comparison = _comparison(arguments, settings)
    _show(comparison, arguments)
    check_agreement(comparison, arguments.min_agreement)  # after the figures, which say by how much it fails
    return {"worse": ExitCode.WORSE, "inconclusive": ExitCode.INCONCLUSIVE}.get(
        overall(comparison), ExitCode.OK
    )


def _comparison(arguments: argparse.Namespace, settings: Settings) -> Comparison:
    """Make the runs, or find them, and compare them."""
    from airflow_provider_aiopt.compare.folders import compare_folders, compare_with_results

    pipelines: list[str] = arguments.pipelines
    specs = [Path(item).suffix in _SPECS for item in pipelines]
    if all(specs):
        runs = _made_runs(arguments, settings)
        return compare_with_results(runs, settings, paired=True, resolver=arguments.resolver)
    if any(specs) or arguments.set:
        raise ComparisonError(
            f"{', '.join(pipelines)}: give specs ({', '.join(_SPECS)}) or folders of runs, not both; "
            "--set is for a spec"
        )
    names = _distinct([item.rstrip("/") for item in pipelines])
    folders = dict(zip(names, pipelines, strict=True))
    return compare_folders(folders, settings, resolver=arguments.resolver, paired=arguments.paired)


def _made_runs(arguments: argparse.Namespace, settings: Settings) -> dict[str, list[RunReport]]:
    from airflow_provider_aiopt.compare.running import Bench, run_interleaved

    variants = _variants(arguments)
    comparison = datetime.now(UTC).strftime("compare-%Y%m%dT%H%M%S.%fZ")
    folder = Folder.open(arguments.work_dir, resolver=arguments.resolver).child(comparison)

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    say(f"{len(variants)} pipelines, {arguments.warm_ups} warm-up rounds, runs in {folder.uri}")
    return run_interleaved(
        variants,
        Bench(
            folder,
            resolver=arguments.resolver,
            allowed_callables=allowed_callables(arguments.allow_callables),
            fresh=arguments.fresh,
        ),
        settings,
        rounds=None if arguments.rounds == _AUTO else arguments.rounds,
        most_rounds=arguments.most_rounds,
        warm_ups=arguments.warm_ups,
        on_run=lambda number, name, report: say(f"round {number}: {name} {report.wall_s:.3f} s"),
        on_plan=lambda needed: say(_plan(needed, arguments)),
    )


def _plan(needed: int | None, arguments: argparse.Namespace) -> str:
    rounds = "more rounds than make sense" if needed is None else f"{needed} rounds"
    what = f"{rounds} are needed to find a difference of {arguments.effect:.0%}"
    if needed is None or needed > arguments.most_rounds:
        return f"{what}; --max-rounds allows {arguments.most_rounds}"
    return what


def _variants(arguments: argparse.Namespace) -> list[Variant]:
    from airflow_provider_aiopt.compare.running import Variant

    pipelines: list[str] = arguments.pipelines
    if len(pipelines) > 1 and arguments.set:
        raise ComparisonError(
            f"--set makes variants of one spec; here are {len(pipelines)}: {', '.join(pipelines)}"
        )
    if len(pipelines) == 1 and not arguments.set:
        raise ComparisonError(
            f"There is only {pipelines[0]}: name a second spec, or make a variant with --set KEY=VALUE"
        )
    mode: Mode = arguments.mode
    names = _distinct([str(Path(item).with_suffix("")) for item in pipelines])
    specs = [
        Variant(_safe(name), read_spec(item, []), mode) for name, item in zip(names, pipelines, strict=True)
    ]
    return specs + [_set_variant(pipelines[0], settings, mode) for settings in arguments.set]


def _set_variant(path: str, settings: Sequence[str], mode: Mode) -> Variant:
    from airflow_provider_aiopt.compare.running import Variant

    modes = [item.removeprefix(_MODE) for item in settings if item.startswith(_MODE)]
    others = [item for item in settings if not item.startswith(_MODE)]
    if unknown := set(modes) - {"staged", "streaming"}:
        raise ComparisonError(f"--set mode={unknown.pop()}: the mode is staged or streaming")
    return Variant(
        _safe(",".join(settings)), read_spec(path, others), "streaming" if "streaming" in modes else mode
    )


def _distinct(paths: Sequence[str]) -> list[str]:
    """Return the last parts of *paths*, or, where these are not distinct, the whole ones."""
    short = [path.rsplit("/", 1)[-1] for path in paths]
    found = short if len(set(short)) == len(short) else list(paths)
    if len(set(found)) < len(found):
        raise ComparisonError(f"The same is given twice: {', '.join(paths)}. Name different ones")
    return found


def _safe(name: str) -> str:
    """Return a name that is one folder's."""
    return name.strip("/").replace("/", "_")


def _show(comparison: Comparison, arguments: argparse.Namespace) -> None:
    from airflow_provider_aiopt.compare.rendering import (
        agreement_line,
        csv_text,
        json_text,
        variant_table,
        verdict_line,
        write_plot,
    )
    from airflow_provider_aiopt.telemetry.export import write_bytes

    if arguments.csv not in {None, _STDOUT}:
        write_bytes(arguments.csv, csv_text(comparison).encode())
    for path in arguments.plot:
        write_plot(comparison, path)
    if arguments.json:
        sys.stdout.write(json_text(comparison))
    elif arguments.csv == _STDOUT:
        sys.stdout.write(csv_text(comparison))
    else:
        for variant in comparison.variants:
            console = stdout_console()
            console.print(variant_table(comparison, variant))
            for line in (verdict_line(comparison, variant), agreement_line(comparison, variant)):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            console.print()


def _rounds(text: str) -> int | str:
    return text if text == _AUTO else count(text)


COMMAND = Command(
    name="compare",
    help="say whether a pipeline is better than another, by interleaved runs",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument(
            "pipelines", nargs="+", metavar="A", help="specs, or folders of runs; the first is the baseline"
        ),
        argument(
            "--set",
            action="append",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="a variant of the one spec, with these values replaced; may be repeated",
        ),
        argument(
            "--mode",
            choices=("staged", "streaming"),
            default="staged",
            help="how the specs are run (default: staged)",
        ),
        argument(
            "--metric",
            default="wall",
            metavar="NAME",
            help="what is judged: wall (default), items_per_s, shard_p95, or of a stage inference, "
            "inference.busy, inference.items_per_s, inference.p95",
        ),
        argument(
            "--rounds",
            type=_rounds,
            default=_AUTO,
            metavar="N",
            help="runs of each pipeline; auto (default): 8, and as many more as their variation asks for",
        ),
        argument(
            "--max-rounds",
            dest="most_rounds",
            type=count,
            default=50,
            metavar="N",
            help="most rounds of --rounds auto (default: 50)",
        ),
        argument(
            "--warm-ups", type=whole, default=1, metavar="N", help="rounds that do not count (default: 1)"
        ),
        argument(
            "--threshold",
            type=share,
            default=0.05,
            metavar="X",
            help="largest difference that does not matter, 0.05 for 5 %% (default: 0.05)",
        ),
        argument(
            "--effect",
            type=share,
            default=0.10,
            metavar="X",
            help="difference that is to be found where there is one (default: 0.1)",
        ),
        argument(
            "--alpha",
            type=share,
            default=0.05,
            metavar="X",
            help="probability of a false better or worse (default: 0.05)",
        ),
        argument(
            "--power",
            type=share,
            default=0.80,
            metavar="X",
            help="probability with which --effect is to be found (default: 0.8)",
        ),
        argument(
            "--min-agreement",
            type=share,
            default=0.98,
            metavar="X",
            help="share of the records that must have the same answer (default: 0.98)",
        ),
        argument(
            "--fresh",
            action="store_true",
            help="each run in a process of its own, which loads the model anew",
        ),
        argument(
            "--paired",
            action="store_true",
            help="of folders: the runs were made in turn, so pair them in the order of their start",
        ),
        argument(
            "--work-dir",
            default="runs",
            metavar="DIR",
            help="folder or URL that keeps the runs, as compare-TIME/VARIANT/ROUND (default: runs)",
        ),
        argument("--seed", type=int, default=0, metavar="N", help="of order and resampling (default: 0)"),
        ALLOW_CALLABLES,
        argument("--json", action="store_true", help="print the comparison as JSON and nothing else"),
        argument(
            "--csv",
            nargs="?",
            const=_STDOUT,
            metavar="FILE",
            help="write a line for each metric, to standard output where no file is given",
        ),
        argument(
            "--plot",
            action="append",
            default=[],
            metavar="FILE",
            help="draw the ratios to a .png or .svg file; may be repeated",
        ),
    ),
)
