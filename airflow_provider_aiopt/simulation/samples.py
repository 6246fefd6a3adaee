"""The tasks of measured runs, each as the numbers that a calibration is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport, TaskTimes


@dataclass(frozen=True, slots=True)
class TaskSample:
    """One measured task.

    :param step: the task's id, outside Airflow the stage's name, or ``pipeline`` where stages share a process
    :param index: index of the mapped task, -1 where it is not mapped
    :param reports: the reports of the stages that it ran
    :param times: Airflow's times of it; None outside Airflow
    """

    step: str
    index: int
    reports: tuple[StageReport, ...]
    times: TaskTimes | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it ran."""
        return tuple(report.stage for report in self.reports)

    @property
    def began(self) -> float:
        """When its first stage began, in seconds since the epoch."""
        return min(report.started_at.timestamp() for report in self.reports)

    @property
    def ended(self) -> float:
        """When its last stage ended."""
        return max(report.ended_at.timestamp() for report in self.reports)

    @property
    def wall_s(self) -> float:
        """How long its stages took."""
        return max(report.wall_s for report in self.reports)

    @property
    def items(self) -> int:
        """Records that it worked on."""
        return max(report.items_in - report.resumed_items for report in self.reports)

    @property
    def cpu_s(self) -> float:
        """CPU time of its process while the stages ran; streamed stages each have that of all of them."""
        if len(self.reports) == 1:
            return self.reports[0].cpu_s
        counted = [item.evidence.user_s + item.evidence.system_s for item in self.reports if item.evidence]
        return max(sum(report.cpu_s for report in self.reports), *counted, 0.0)

    @property
    def setup_s(self) -> float:
        """From its stages' beginning to the last of their first batches; all of it where none had one."""
        known = [
            report.evidence.setup_s
            for report in self.reports
            if report.evidence and report.evidence.setup_s is not None
        ]
        return min(self.wall_s, max(known)) if known else self.wall_s

    @property
    def start_up_s(self) -> float | None:
        """From its start by a worker to its stages' beginning; None outside Airflow."""
        started = moment(self.times.started_at) if self.times else None
        return None if started is None else max(0.0, self.began - started)

    @property
    def ending_s(self) -> float | None:
        """From its stages' end to its own; None outside Airflow."""
        ended = moment(self.times.ended_at) if self.times else None
        return None if ended is None else max(0.0, ended - self.ended)

    @property
    def commits(self) -> tuple[int, float]:
        """How many shards it committed, and how long that took."""
        found = [report.evidence for report in self.reports if report.evidence]
        return sum(item.commits for item in found), sum(item.commit_s for item in found)

    @property
    def cores(self) -> int:
        """Cores that its process could use."""
        return max((item.evidence.cores for item in self.reports if item.evidence), default=1)

    @property
    def host_share(self) -> float | None:
        """Share of its cores that some process kept busy meanwhile; None where that was not sampled."""
        weighed = [
            (report.hardware.host_cpu.mean, report.wall_s)
            for report in self.reports
            if report.hardware and report.hardware.host_cpu
        ]
        weight = sum(seconds for _, seconds in weighed)
        return sum(level * seconds for level, seconds in weighed) / weight if weight else None

    @property
    def threads(self) -> int:
        """Cores that its threads could keep busy at most, by its settings."""
        if len(self.reports) > 1:
            return self.cores
        return min(self.cores, _threads(self.reports[0]))

    @property
    def gpu_share(self) -> float:
        """Share of the time in which its GPU computed, 0 without one."""
        return max((report.gpu_utilisation or 0.0 for report in self.reports), default=0.0)


def samples_of(report: RunReport) -> tuple[TaskSample, ...]:
    """Return the tasks of a run that ended well, in the order of their beginning.

    :param report: the run's report
    """
    times = {(item.task_id, item.map_index): item for item in report.task_times if item.ended_at}
    groups: dict[tuple[str, int], list[StageReport]] = {}
    for stage in report.tasks:
        if stage.state == "success":
            groups.setdefault(_key(stage, overlapped=report.overlapped), []).append(stage)
    made = [TaskSample(*key, tuple(found), times.get(key)) for key, found in groups.items()]
    return tuple(sorted(made, key=lambda sample: sample.began))


def at_once(samples: Sequence[TaskSample]) -> float:
    """Return how many of a step's tasks in one run were under way on average, at least 1.

    :param samples: tasks of one step and run
    """
    span_s = max(sample.ended for sample in samples) - min(sample.began for sample in samples)
    return max(1.0, sum(sample.wall_s for sample in samples) / span_s) if span_s > 0 else 1.0


def moment(time: datetime | None) -> float | None:
    """Return a time in seconds since the epoch.

    :param time: the time, None where it is not known
    """
    return None if time is None else time.timestamp()


def mean(values: Iterable[float], default: float = 0.0) -> float:
    """Return the mean of *values*, *default* where there are none."""
    found = list(values)
    return sum(found) / len(found) if found else default


def _key(stage: StageReport, *, overlapped: bool) -> tuple[str, int]:
    if stage.task is not None:
        return stage.task.task_id, stage.task.map_index
    return ("pipeline" if overlapped else stage.stage), -1


def _threads(report: StageReport) -> int:
    if report.stage == "preprocess" and report.evidence:
        workers = report.evidence.settings.get("execution.workers")
        return workers if isinstance(workers, int) and workers > 0 else report.evidence.cores
    threads = report.details.get("threads")
    return threads if isinstance(threads, int) and threads > 0 else 1
