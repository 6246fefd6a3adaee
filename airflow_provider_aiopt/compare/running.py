"""Running pipelines in turn, so that what slows the machine for a while slows all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from airflow_provider_aiopt.compare.comparing import recommended_rounds
from airflow_provider_aiopt.compare.loading import round_name, usable_run
from airflow_provider_aiopt.compare.models import Settings
from airflow_provider_aiopt.compare.planning import PILOT_ROUNDS, next_rounds, run_order
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem, storage_errors
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report

Mode = Literal["staged", "streaming"]

_WARM_UP = "warm-up"
_CHILD = "airflow_provider_aiopt.compare.process"
_ERROR_LINES = 20


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the pipelines that are compared.

    :param name: its name, and that of its runs' folder
    :param spec: what is run; its results stay in the run's workspace, whatever its sink
    :param mode: how it is run
    """

    name: str
    spec: PipelineSpec
    mode: Mode = "staged"


@dataclass(frozen=True)
class Bench:
    """Where and how the runs of a comparison are made.

    :param folder: keeps the runs, as variant / round
    :param resolver: how to find file systems
    :param allowed_callables: prefixes of the dotted paths that specs may name
    :param fresh: whether each run has a process of its own, which imports and loads everything anew; file
        systems are then found without *resolver*
    """

    folder: Folder
    resolver: FileSystemResolver = resolve_filesystem
    allowed_callables: tuple[str, ...] = ()
    fresh: bool = False

    def run(self, variant: Variant, name: str) -> RunReport:
        """Run a pipeline once, whole, and keep its report and its results.

        :param variant: the pipeline
        :param name: the run's name
        :raises AioptError: one of its subclasses, if the run fails
        """
        folder = self.folder.child(variant.name).child(name)
        forget(folder)
        if self.fresh:
            _run_child(variant, folder.uri, self.allowed_callables)
        else:
            run_variant(variant, folder.uri, resolver=self.resolver, allowed_callables=self.allowed_callables)
        clear_stages(folder)
        return usable_run(load_run_report(folder), folder.uri)

    def warm_up(self, variant: Variant) -> None:
        """Run a pipeline once and keep nothing.

        :param variant: the pipeline
        """
        self.run(variant, _WARM_UP)
        forget(self.folder.child(variant.name).child(_WARM_UP))


def run_interleaved(
    variants: Sequence[Variant],
    bench: Bench,
    settings: Settings,
    *,
    rounds: int | None,
    most_rounds: int,
    warm_ups: int = 1,
    on_run: Callable[[int, str, RunReport], None] = lambda *_: None,
    on_plan: Callable[[int | None], None] = lambda _: None,
) -> dict[str, list[RunReport]]:
    """Run pipelines in rounds, each once in a round, in an order that changes.

    :param variants: the pipelines, the baseline first
    :param bench: where the runs go
    :param settings: what is judged, by which the number of rounds is chosen
    :param rounds: how many; None: as many as the variation of the first few says are needed
    :param most_rounds: how many at most, where *rounds* is None
    :param warm_ups: rounds before that are not counted: what is read, compiled or cached for the first time
    :param on_run: called after each run with its round, its pipeline and its report
    :param on_plan: called with the number of rounds that were found to be needed
    :returns: the runs by pipeline, in the order of the rounds
    :raises AioptError: one of its subclasses, if a run fails
    """
    for _ in range(warm_ups):
        for variant in variants:
            bench.warm_up(variant)
    by_name = {variant.name: variant for variant in variants}
    orders = run_order(list(by_name), max(most_rounds, rounds or 0), seed=settings.seed)
    found: dict[str, list[RunReport]] = {name: [] for name in by_name}
    wanted = min(PILOT_ROUNDS, most_rounds) if rounds is None else rounds

    def run_rounds(first: int, end: int) -> None:
        for number in range(first, end):
            for name in orders[number]:
                report = bench.run(by_name[name], round_name(number + 1))
                found[name].append(report)
                on_run(number + 1, name, report)
                _forget_results(bench.folder.child(name), number)

    done = 0
    while done < wanted:
        run_rounds(done, wanted)
        done = wanted
        if rounds is None:
            needed = recommended_rounds(found, settings)
            on_plan(needed)
            wanted = next_rounds(done, needed, most_rounds)
    return found


def run_variant(
    variant: Variant, workspace: str, *, resolver: FileSystemResolver, allowed_callables: tuple[str, ...]
) -> None:
    """Run a pipeline in this process.

    :param variant: the pipeline
    :param workspace: the run's folder
    :param resolver: how to find file systems
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    """
    context = RunContext(
        spec=without_sink(variant.spec),
        workspace=Workspace.open(workspace, resolver=resolver),
        resolver=resolver,
        allowed_callables=allowed_callables,
    )
    if variant.mode == "streaming":
        run_streaming(context)
    else:
        run_pipeline(context)


def without_sink(spec: PipelineSpec) -> PipelineSpec:
    """Return *spec* with its results in the run's workspace: a measurement publishes nothing.

    :param spec: a pipeline
    """
    return load_spec(spec, overrides={"sink.uri": None, "sink.connection": None})


def forget(folder: Folder) -> None:
    """Remove a folder with all that is in it, if it is there.

    :param folder: of a run of a comparison
    :raises StorageError: if it cannot be removed
    """
    with storage_errors("remove", folder.uri, faults=Exception):
        if folder.filesystem.exists(folder.path):
            folder.filesystem.rm(folder.path, recursive=True)


def clear_stages(folder: Folder) -> None:
    """Remove the shards of a run, and keep its report, its results and its quarantine.

    :param folder: the run's workspace
    :raises StorageError: if they cannot be removed
    """
    for stage in STAGES:
        forget(folder.child(stage))


def _forget_results(folder: Folder, number: int) -> None:
    """Remove the results of the round before: the last one's are compared, and reports stay."""
    if number:
        forget(folder.child(round_name(number)).child("results"))


def _run_child(variant: Variant, workspace: str, allowed_callables: Sequence[str]) -> None:
    """Run a pipeline in a process of its own.

    What may hold a secret, such as ``storage_options``, goes through a pipe and not on its command line.
    """
    request: Mapping[str, Any] = {
        "name": variant.name,
        "spec": json.loads(variant.spec.to_json()),
        "mode": variant.mode,
        "workspace": workspace if "://" in workspace else str(Path(workspace).absolute()),
        "allowed_callables": list(allowed_callables),
    }
    done = subprocess.run(  # noqa: S603 - this package's own module
        [sys.executable, "-m", _CHILD], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-_ERROR_LINES:])
        raise ComparisonError(f"A run of {variant.name} ended with exit code {done.returncode}: {said}")
