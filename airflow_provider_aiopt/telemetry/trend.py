"""How a pipeline's runs compare: times per stage, percentiles and changes; pure functions.

Whether a stage has changed is decided here alone: for the UI's trend, for ``aiopt report`` and for
``aiopt run``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from airflow_provider_aiopt.telemetry.reports import Change, RunReport

MIN_EARLIER_RUNS = 8
"""A stage is compared with its earlier runs where there are at least so many of them."""

MAX_EARLIER_RUNS = 20
"""And with the newest of them: what was usual a year ago is not."""

CHANGE_FACTOR = 1.2
"""A change is by at least so much, either way, beside the median of the earlier runs."""

CHANGE_SCORE = 3.5
"""And by so many robust standard deviations: the bound for outliers of Iglewicz and Hoaglin, *How to Detect
and Handle Outliers* (1993)."""

SAME_SIZE = 1.1
"""Runs whose records differ by at most this factor are of the same size: only these are compared."""

_TO_DEVIATION = 1.4826  # of normal values: their standard deviation over their median absolute deviation
_LEAST_DEVIATION = 0.01  # of the logarithms: clocks and schedulers are no more exact than that
_LEAST_S = 0.001  # shorter stages are all as long as this


class _Trend(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrendRun(_Trend):
    """One run of the trend.

    :param run_id: DAG run id
    :param state: its state in Airflow
    :param started_at: Airflow's time of its beginning; None while it is queued
    :param wall_s: Airflow's duration of it, until now where it has not ended
    :param records_in: records that entered the pipeline
    :param results: records with a result
    :param quarantined: records in quarantine
    :param stages: duration of each stage that reported, in seconds
    """

    run_id: str
    state: str
    started_at: AwareDatetime | None
    wall_s: float
    records_in: int = 0
    results: int = 0
    quarantined: int = 0
    stages: dict[str, float] = {}


class StageTrend(_Trend):
    """A stage over the runs that succeeded.

    :param p50: median of its durations, in seconds
    :param p95: 95th percentile, by linear interpolation
    :param latest: the newest of them
    :param change: whether the newest is beyond what the earlier ones show to be usual, see
        :func:`change_of`; None where it is not, or where these are too few
    """

    p50: float
    p95: float
    latest: float
    change: Change | None = None


class Trend(_Trend):
    """The last runs of a DAG.

    :param dag_id: DAG id
    :param runs: the runs, oldest first
    :param stages: each stage over them
    """

    dag_id: str
    runs: tuple[TrendRun, ...]
    stages: dict[str, StageTrend]


class LastRun(_Trend):
    """The newest run of a pipeline.

    :param run_id: DAG run id
    :param state: its state in Airflow
    :param started_at: Airflow's time of its beginning; None while it is queued
    :param wall_s: Airflow's duration of it, until now where it has not ended
    """

    run_id: str
    state: str
    started_at: AwareDatetime | None
    wall_s: float


class PipelineRow(_Trend):
    """A pipeline among all of them.

    :param dag_id: DAG id
    :param pipeline: its name, the DAG's id where its newest ended run has not reported
    :param last_run: its newest run
    :param slowest_stage: the bottleneck of its newest ended run; None where that has not reported
    :param trend: durations of its last runs that ended, in seconds, oldest first
    """

    dag_id: str
    pipeline: str
    last_run: LastRun | None
    slowest_stage: str | None
    trend: tuple[float, ...]


class Pipelines(_Trend):
    """The pipelines that a user may read.

    :param pipelines: those that ran last come first
    """

    pipelines: tuple[PipelineRow, ...]


def build_trend(dag_id: str, runs: Sequence[TrendRun]) -> Trend:
    """Compare runs of one DAG.

    Only runs that succeeded are compared: one that failed stopped early.  And only those of the same size
    tell what is usual.

    :param dag_id: the DAG
    :param runs: its runs, oldest first
    """
    by_stage: dict[str, list[TrendRun]] = {}
    for run in runs:
        for stage in run.stages if run.state == "success" else ():
            by_stage.setdefault(stage, []).append(run)
    return Trend(
        dag_id=dag_id,
        runs=tuple(runs),
        stages={stage: _stage_trend(stage, group) for stage, group in by_stage.items()},
    )


def change_of(latest: float, earlier: Sequence[float]) -> Change | None:
    """Tell whether *latest* is beyond what *earlier* shows to be usual.

    It is where it lies outside all of *earlier*, by :data:`CHANGE_SCORE` robust standard deviations of the
    logarithms and by :data:`CHANGE_FACTOR`.  The first alone bounds the false marks, whatever the durations
    are distributed like: of *n* + 1 alike runs the last is the longest once in *n* + 1 times.

    :param latest: the newest duration, in seconds
    :param earlier: those before it, oldest first
    :returns: None where it is not, or where there are too few to tell
    """
    if len(earlier) < MIN_EARLIER_RUNS:
        return None
    logs = [_log(seconds) for seconds in earlier[-MAX_EARLIER_RUNS:]]
    middle, value = statistics.median(logs), _log(latest)
    deviation = _TO_DEVIATION * statistics.median(abs(item - middle) for item in logs)
    least = max(CHANGE_SCORE * max(deviation, _LEAST_DEVIATION), math.log(CHANGE_FACTOR))
    if value > max(*logs, middle + least):
        return "slower"
    if value < min(*logs, middle - least):
        return "faster"
    return None


def with_history(report: RunReport, earlier: Sequence[RunReport]) -> RunReport:
    """Return *report* with what was usual for each stage, and which have changed.

    :param report: a run
    :param earlier: runs of the same pipeline, in any order; those that began later, failed, were resumed or
        are of another size do not count
    """
    before = [trend_run(item) for item in earlier if item.started_at < report.started_at]
    runs = [*sorted(before, key=lambda run: str(run.started_at)), trend_run(report)]
    stages = []
    for stage in report.stages:
        usual = _usual(stage.stage, [run for run in runs if run.state == "success" or run is runs[-1]])
        known = len(usual) >= MIN_EARLIER_RUNS
        stages.append(
            stage.model_copy(
                update={
                    "usual_s": statistics.median(usual[-MAX_EARLIER_RUNS:]) if known else None,
                    "change": change_of(stage.duration_s, usual) if runs[-1].state == "success" else None,
                }
            )
        )
    return report.model_copy(update={"stages": tuple(stages)})


def trend_run(report: RunReport) -> TrendRun:
    """Return a run as one of a trend.

    Its state is ``failed`` or ``resumed`` where a stage failed, or did not do all of its work.

    :param report: the run
    """
    failed = any(stage.failed for stage in report.stages)
    resumed = any(stage.resumed for stage in report.stages)
    return TrendRun(
        run_id=report.run_id,
        state="failed" if failed else "resumed" if resumed else "success",
        started_at=report.started_at,
        wall_s=report.wall_s,
        records_in=report.records_in,
        results=report.results,
        quarantined=report.quarantined,
        stages={stage.stage: stage.duration_s for stage in report.stages},
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile by linear interpolation between the closest values.

    :param values: at least one
    :param percent: 1 to 99
    """
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _stage_trend(stage: str, runs: Sequence[TrendRun]) -> StageTrend:
    seconds = [run.stages[stage] for run in runs]
    return StageTrend(
        p50=percentile(seconds, 50),
        p95=percentile(seconds, 95),
        latest=seconds[-1],
        change=change_of(seconds[-1], _usual(stage, runs)),
    )


def _usual(stage: str, runs: Sequence[TrendRun]) -> list[float]:
    """Return the stage's durations in the runs before the last that are of its size."""
    *earlier, latest = runs
    return [run.stages[stage] for run in earlier if stage in run.stages and _same_size(run, latest)]


def _same_size(first: TrendRun, second: TrendRun) -> bool:
    fewer, more = sorted((first.records_in, second.records_in))
    return more <= SAME_SIZE * fewer


def _log(seconds: float) -> float:
    return math.log(max(seconds, _LEAST_S))
