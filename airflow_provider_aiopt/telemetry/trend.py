"""How a pipeline's runs compare: times per stage, percentiles and regressions; pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

MIN_EARLIER_RUNS = 5
"""A stage is compared with its earlier runs where there are at least so many of them."""

REGRESSION_FACTOR = 1.5
"""A regression is this many times the median of the earlier runs, besides being above their p95."""


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
    :param regressed: whether the newest is slower than the earlier ones, see :func:`is_regression`
    """

    p50: float
    p95: float
    latest: float
    regressed: bool


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

    Only runs that succeeded are compared: one that failed stopped early.

    :param dag_id: the DAG
    :param runs: its runs, oldest first
    """
    durations: dict[str, list[float]] = {}
    for run in runs:
        for stage, seconds in run.stages.items() if run.state == "success" else ():
            durations.setdefault(stage, []).append(seconds)
    return Trend(
        dag_id=dag_id,
        runs=tuple(runs),
        stages={stage: _stage_trend(seconds) for stage, seconds in durations.items()},
    )


def is_regression(latest: float, earlier: Sequence[float]) -> bool:
    """Tell whether *latest* is slower than *earlier* shows to be usual.

    :param latest: the newest duration
    :param earlier: those before it
    """
    return (
        len(earlier) >= MIN_EARLIER_RUNS
        and latest > percentile(earlier, 95)
        and latest > REGRESSION_FACTOR * statistics.median(earlier)
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile by linear interpolation between the closest values.

    :param values: at least one
    :param percent: 1 to 99
    """
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _stage_trend(seconds: Sequence[float]) -> StageTrend:
    return StageTrend(
        p50=percentile(seconds, 50),
        p95=percentile(seconds, 95),
        latest=seconds[-1],
        regressed=is_regression(seconds[-1], seconds[:-1]),
    )
