"""The metrics of a run that can be compared; pure functions of its report.

======================  ===============================================================================
Name                    What it is
======================  ===============================================================================
``wall``                duration of the run, from its first stage's beginning to its last one's end, s
``items_per_s``         records in over that time, 1/s
``shard_p95``           95th percentile over the shards of a shard's time in all stages, s
``STAGE``               duration of that stage, for example ``inference``, s
``STAGE.busy``          time that its tasks were busy, s
``STAGE.items_per_s``   records per second of that stage, 1/s
``STAGE.p95``           95th percentile of the wall times of its tasks, s
======================  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport, StageSummary
from airflow_provider_aiopt.telemetry.trend import percentile

_P95 = 95
_SEVERAL = 2
_NAMED_IN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is read.

    :param name: as in the module's table
    :param unit: ``s`` or ``1/s``
    """

    name: str
    unit: str

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better."""
        return self.unit == "s"


def metric_named(name: str) -> Metric:
    """Return the metric of that name, whether a run has it or not."""
    return Metric(name, "1/s" if name.rpartition(".")[2] == "items_per_s" else "s")


def run_metrics(report: RunReport) -> dict[str, float]:
    """Return every metric that a run has, by name.

    Percentiles are there only where at least two tasks, or shards, have reported.

    :param report: a finished run
    """
    found = {"wall": report.wall_s}
    if report.wall_s:
        found["items_per_s"] = report.records_in / report.wall_s
    if (p95 := _shard_p95(report.tasks)) is not None:
        found["shard_p95"] = p95
    for stage in report.stages:
        found.update(_stage_metrics(stage, report.tasks))
    return found


def common_metrics(runs: Sequence[Mapping[str, float]], first: str) -> tuple[str, ...]:
    """Return the names of the metrics that all *runs* have, none of them zero in any; *first* comes first.

    :param runs: the metrics of each run
    :param first: the one that is judged
    :raises ComparisonError: if a run does not have it
    """
    shared = [name for name in runs[0] if all(run.get(name, 0.0) > 0 for run in runs)]
    if first not in shared:
        known = ", ".join(shared[:_NAMED_IN_ERRORS]) or "none"
        raise ComparisonError(
            f"Not every run has the metric {first!r}, above zero. Those that all have are: {known}. "
            "Percentiles over shards need runs whose shards have tasks of their own"
        )
    return first, *(name for name in shared if name != first)


def _stage_metrics(stage: StageSummary, tasks: Sequence[StageReport]) -> Iterator[tuple[str, float]]:
    yield stage.stage, stage.duration_s
    yield f"{stage.stage}.busy", stage.busy_s
    yield f"{stage.stage}.items_per_s", stage.items_per_s
    own = [task.wall_s for task in tasks if task.stage == stage.stage]
    if len(own) >= _SEVERAL:
        yield f"{stage.stage}.p95", percentile(own, _P95)


def _shard_p95(tasks: Sequence[StageReport]) -> float | None:
    """Return the percentile of the shards' times: what lies between their stages does not count."""
    by_shard: dict[str, list[StageReport]] = {}
    for task in tasks:
        if task.shard is not None:
            by_shard.setdefault(task.shard, []).append(task)
    if len(by_shard) < _SEVERAL:
        return None
    return percentile([_covered_s(group) for group in by_shard.values()], _P95)


def _covered_s(group: Sequence[StageReport]) -> float:
    """Return how long at least one of a shard's stages was at work."""
    covered, until = 0.0, None
    for task in sorted(group, key=lambda task: task.started_at):
        begin = task.started_at if until is None else max(task.started_at, until)
        covered += max(0.0, (task.ended_at - begin).total_seconds())
        until = task.ended_at if until is None else max(until, task.ended_at)
    return covered
