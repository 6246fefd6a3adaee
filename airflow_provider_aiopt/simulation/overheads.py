"""What Airflow itself takes, from its own times of measured tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from airflow_provider_aiopt.simulation.samples import moment
from airflow_provider_aiopt.simulation.service import AirflowService, Empirical, constant
from airflow_provider_aiopt.telemetry.reports import RunReport, TaskTimes

START_UP_S = 0.3
ENDING_S = 0.1
"""CPU time of a task before and after its stages, where no Airflow was asked."""

_ESTIMATES = AirflowService(
    run_start_s=constant(0.4), loop_s=constant(0.5), hand_over_s=constant(0.05), launch_s=0.02, measured=False
)
"""At the default idle sleep of a second, half of which a task waits on average."""

_SAME_LOOP_S = 0.03  # queued within so much of each other: in one loop of the scheduler
_HELD_S = 1.0  # a run that waited so much longer than another was held by it


def airflow_service(reports: Sequence[RunReport]) -> AirflowService:
    """Return what Airflow took in measured runs, estimates where its times are not known.

    :param reports: the runs
    """
    runs = [_known(report.task_times) for report in reports]
    loops = [gap for times in runs for gap in _loop_gaps(times)]
    batches = [batch for times in runs for batch in _batches(times)]
    if not loops or not batches:
        return _ESTIMATES
    later = [gap for batch in batches for gap in _gaps([started for _, started in batch])]
    waits = [report.queued_s for report in reports if report.queued_s is not None]
    free = [wait for wait in waits if wait <= min(waits) + _HELD_S]
    return AirflowService(
        run_start_s=Empirical(values=tuple(free)) if free else _ESTIMATES.run_start_s,
        loop_s=Empirical(values=tuple(loops)),
        hand_over_s=Empirical(values=tuple(max(0.0, batch[0][1] - batch[0][0]) for batch in batches)),
        launch_s=median(later) if later else _ESTIMATES.launch_s,
        measured=True,
    )


def _known(times: Sequence[TaskTimes]) -> list[tuple[float, float, float, float, str]]:
    found = []
    for item in times:
        moments = [
            moment(time) for time in (item.scheduled_at, item.queued_at, item.started_at, item.ended_at)
        ]
        if None not in moments:
            scheduled, queued, started, ended = (time or 0.0 for time in moments)
            found.append((scheduled, queued, started, ended, item.task_id))
    return sorted(found, key=lambda entry: entry[1])


def _loop_gaps(times: Sequence[tuple[float, float, float, float, str]]) -> Iterator[float]:
    """Yield the time from each end that the scheduler had to notice to what it then did."""
    ends = sorted(ended for *_, ended, _ in times)
    for first in (batch[0] for batch in _by_loop(times)):
        before = [ended for ended in ends if ended <= first[1]]
        # A task that waited for a slot was queued by the loop after an end; another was found runnable by it.
        if before:
            held = first[1] - first[0] > _SAME_LOOP_S * 4
            yield max(0.0, (first[1] if held else first[0]) - before[-1])


def _batches(times: Sequence[tuple[float, float, float, float, str]]) -> list[list[tuple[float, float]]]:
    """Return when the tasks of each loop were queued and started, in the order of their starts."""
    return [
        sorted([(queued, started) for _, queued, started, *_ in batch], key=lambda entry: entry[1])
        for batch in _by_loop(times)
    ]


def _by_loop(
    times: Sequence[tuple[float, float, float, float, str]],
) -> list[list[tuple[float, float, float, float, str]]]:
    found: list[list[tuple[float, float, float, float, str]]] = []
    for entry in times:
        if found and entry[1] - found[-1][0][1] <= _SAME_LOOP_S:
            found[-1].append(entry)
        else:
            found.append([entry])
    return found


def _gaps(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(sorted(moments))]
