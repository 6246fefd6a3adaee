"""The operational quantities of a run, computed once from its report for all rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from pydantic import JsonValue

from airflow_provider_aiopt.advisor.laws import in_progress
from airflow_provider_aiopt.telemetry.evidence import StageEvidence
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse, Level
from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport, StageReport, StageSummary, TaskTimes

_NOTHING = StageEvidence()
_DECODED_AT_ONCE = 2  # batches that staged preprocessing has under way, see runner/staged.py


@dataclass(frozen=True)
class StageFacts:
    """One stage, all its tasks taken together.

    Times ending in ``_s`` are sums over its tasks, and over threads where :class:`StageEvidence` says so.

    :param summary: the stage's sums
    :param reports: its tasks' reports
    :param streamed: whether it ran side by side with the others in one process
    """

    summary: StageSummary
    reports: tuple[StageReport, ...]
    streamed: bool

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.summary.stage

    @property
    def elapsed_s(self) -> float:
        """What it contributes to the run's time: its span, in streaming the time that its threads worked."""
        return self.summary.busy_s / self.concurrency if self.streamed else self.summary.duration_s

    @property
    def compute_s(self) -> float:
        """Elapsed time of its work, without waits and the loading of the model, at the tasks' concurrency."""
        return max(0.0, self.summary.busy_s - self.summary.model_load_s) / self.concurrency

    @cached_property
    def concurrency(self) -> float:
        """How many of its tasks ran at once on average, at least 1."""
        return max(1.0, in_progress(self.summary.task_s, self.summary.duration_s))

    @property
    def lanes(self) -> int:
        """Threads that kept it fully busy, of one task."""
        found = [report.details.get("threads") for report in self.reports]
        return max((value for value in found if isinstance(value, int) and value > 0), default=1)

    @property
    def cpu_s(self) -> float:
        """CPU time."""
        return sum(report.cpu_s for report in self.reports)

    @property
    def own_cores(self) -> float:
        """Cores that its tasks kept busy while they computed."""
        return self.cpu_s / self.compute_s if self.compute_s else 0.0

    @property
    def setup_s(self) -> float:
        """What its tasks took to their first batches."""
        return self._sum(lambda evidence: evidence.setup_s or 0.0)

    @property
    def process_cpu_s(self) -> float:
        """CPU time of its processes; in streaming that of all stages."""
        return self._sum(lambda evidence: evidence.user_s + evidence.system_s)

    @property
    def system_s(self) -> float:
        """CPU time that the kernel took for its processes; in streaming for all stages."""
        return self._sum(lambda evidence: evidence.system_s)

    @property
    def switches(self) -> int:
        """Context switches of its processes."""
        return int(self._sum(lambda found: found.voluntary_switches + found.involuntary_switches))

    @property
    def read_s(self) -> float:
        """Time of reads, over all threads."""
        return self._sum(lambda evidence: evidence.read_s)

    @property
    def reads(self) -> int:
        """How many reads there were."""
        return int(self._sum(lambda evidence: evidence.reads))

    @property
    def written_s(self) -> float:
        """Time of writing and committing."""
        return self._sum(lambda evidence: evidence.write_s + evidence.commit_s)

    @property
    def reading_tasks(self) -> int:
        """How many of its tasks read from the source, at least 1."""
        return max(1, sum(1 for report in self.reports if report.evidence and report.evidence.reads))

    @property
    def write_s(self) -> float:
        """Time of writing batches."""
        return self._sum(lambda evidence: evidence.write_s)

    @property
    def commits(self) -> int:
        """How many shards were committed."""
        return int(self._sum(lambda evidence: evidence.commits))

    @property
    def commit_s(self) -> float:
        """Time of committing them."""
        return self._sum(lambda evidence: evidence.commit_s)

    @property
    def calls(self) -> int:
        """Calls of the model or of the transform."""
        return int(self._sum(lambda evidence: evidence.calls))

    @property
    def call_s(self) -> float:
        """Time of these calls, over all threads."""
        return self._sum(lambda evidence: evidence.call_s)

    @property
    def batches(self) -> int:
        """How many batches it worked on."""
        return sum(sum(report.batch_sizes.values()) for report in self.reports)

    @property
    def at_once(self) -> int:
        """Calls of the model or of the transform that are under way at once."""
        return _DECODED_AT_ONCE if self.name == "preprocess" and not self.streamed else self.lanes

    @property
    def worked_on(self) -> int:
        """Records that it worked on itself."""
        return self.summary.items - self.summary.resumed + self.summary.quarantined

    @property
    def other_cores(self) -> float:
        """Cores that others than the stage's tasks kept busy, other virtual machines included."""
        busy = self._level(lambda use: use.host_cpu)
        own = self._level(lambda use: use.cpu_cores)
        if busy is None or own is None:
            return 0.0
        stolen = self._level(lambda use: use.cpu_steal) or 0.0
        siblings = (self.concurrency - 1) * own
        return max(0.0, (busy + stolen) * self.evidence.host_cores - own - siblings)

    @property
    def throttled(self) -> float:
        """Share of the periods in which the control group's CPU quota was used up."""
        return self._level(lambda use: use.cpu_throttled) or 0.0

    @property
    def evidence(self) -> StageEvidence:
        """The first task's evidence, for what is the same in all."""
        return next((report.evidence for report in self.reports if report.evidence), _NOTHING)

    def detail(self, key: str) -> JsonValue:
        """Return a fact of the first task that has it."""
        return next((report.details[key] for report in self.reports if key in report.details), None)

    def _sum(self, value: Callable[[StageEvidence], float]) -> float:
        return sum(value(report.evidence) for report in self.reports if report.evidence)

    def _level(self, level: Callable[[HardwareUse], Level | None]) -> float | None:
        found = [
            (used.mean, report.wall_s)
            for report in self.reports
            if report.hardware and (used := level(report.hardware)) is not None
        ]
        weight = sum(seconds for _, seconds in found)
        return sum(mean * seconds for mean, seconds in found) / weight if weight else None


@dataclass(frozen=True, slots=True)
class TaskSpan:
    """A task of Airflow beside the stages that it ran.

    :param times: Airflow's own times, all of which are known
    :param work_s: what the stages took
    :param cpu_s: their CPU time
    :param stage: the first of them
    """

    times: TaskTimes
    work_s: float
    cpu_s: float
    stage: str

    @property
    def scheduled(self) -> float:
        """When the scheduler found it runnable, in seconds since the epoch."""
        return _moment(self.times.scheduled_at or self.times.started_at)

    @property
    def started(self) -> float:
        """When a worker began it."""
        return _moment(self.times.started_at)

    @property
    def ended(self) -> float:
        """When it ended."""
        return _moment(self.times.ended_at)

    @property
    def duration_s(self) -> float:
        """How long it ran."""
        return max(0.0, self.ended - self.started)

    @property
    def start_up_s(self) -> float:
        """What of that was not its stages': starting a process, imports, ending."""
        return max(0.0, self.duration_s - self.work_s)


class Facts:
    """A run's operational quantities.

    :param report: the run's report
    """

    def __init__(self, report: RunReport) -> None:
        self.report = report
        by_stage: dict[str, list[StageReport]] = {}
        for task in report.tasks:
            by_stage.setdefault(task.stage, []).append(task)
        self.stages = {
            summary.stage: StageFacts(summary, tuple(by_stage.get(summary.stage, ())), report.overlapped)
            for summary in report.stages
        }

    @property
    def streamed(self) -> bool:
        """Whether the stages ran side by side in one process."""
        return self.report.overlapped

    @cached_property
    def elapsed_s(self) -> float:
        """The run's time; where Airflow's times are known, from the run's creation or first scheduling on."""
        waited = self.report.queued_s or 0.0
        if not self.spans:
            return self.report.wall_s + waited
        scheduled, ended = min(span.scheduled for span in self.spans), max(span.ended for span in self.spans)
        return ended - scheduled + waited

    @property
    def used_share(self) -> float:
        """Share of the cores that were busy while the stages computed, whoever used them."""
        stages = [stage for stage in self.stages.values() if stage.compute_s]
        weight = sum(stage.compute_s for stage in stages)
        busy = sum(stage.compute_s * (stage.own_cores + stage.other_cores) for stage in stages)
        return min(1.0, busy / weight / self.cores) if weight else 0.0

    @cached_property
    def cores(self) -> int:
        """Cores that the run's processes may use."""
        return max((stage.evidence.cores for stage in self.stages.values()), default=1)

    def stage(self, name: str) -> StageFacts | None:
        """Return a stage, None where it has not reported."""
        return self.stages.get(name)

    def setting(self, key: str) -> JsonValue:
        """Return the value that a key of the spec had, None where that is not known."""
        found = (report.evidence.settings for report in self.report.tasks if report.evidence)
        return next((settings[key] for settings in found if key in settings), None)

    def number(self, key: str) -> int | None:
        """Return the number, 1 or more, that a key of the spec had; None for anything else."""
        value = self.setting(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    @cached_property
    def spans(self) -> tuple[TaskSpan, ...]:
        """The tasks that Airflow's times are known of, in the order of their start."""
        work: dict[tuple[str, int], list[StageReport]] = {}
        for report in self.report.tasks:
            if report.task is not None:
                work.setdefault((report.task.task_id, report.task.map_index), []).append(report)
        spans = [
            TaskSpan(
                times,
                work_s=max(report.wall_s for report in reports),
                cpu_s=_process_cpu_s(reports),
                stage=reports[0].stage,
            )
            for times in self.report.task_times
            if times.started_at and times.ended_at and (reports := work.get((times.task_id, times.map_index)))
        ]
        return tuple(sorted(spans, key=lambda span: span.started))

    def spans_of(self, stage: StageFacts) -> tuple[TaskSpan, ...]:
        """Return the tasks of a stage that Airflow's times are known of."""
        return self._spans_by_stage.get(stage.name, ())

    def slots_of(self, stage: StageFacts) -> float:
        """Return how many tasks of a stage ran at once: at most by Airflow's times, else on average."""
        return float(self._most_at_once.get(stage.name, stage.concurrency))

    def idle_s(self, stage: StageFacts) -> float:
        """Return how long, in all, a stage's slots stood empty between its tasks."""
        spans = self.spans_of(stage)
        if not spans:
            return 0.0
        span_s = max(span.ended for span in spans) - min(span.started for span in spans)
        return max(0.0, span_s * self.slots_of(stage) - sum(span.duration_s for span in spans))

    @cached_property
    def scheduling_gaps(self) -> tuple[float, ...]:
        """From each stage's last end until the scheduler found the next stage's first task runnable."""
        return tuple(
            max(0.0, min(span.scheduled for span in later) - max(span.ended for span in earlier))
            for earlier, later in pairwise(filter(None, map(self._spans_by_stage.get, STAGES)))
        )

    @cached_property
    def _spans_by_stage(self) -> dict[str, tuple[TaskSpan, ...]]:
        found: dict[str, list[TaskSpan]] = {}
        for span in self.spans:
            found.setdefault(span.stage, []).append(span)
        return {stage: tuple(spans) for stage, spans in found.items()}

    @cached_property
    def _most_at_once(self) -> dict[str, int]:
        return {stage: most_at_once(spans) for stage, spans in self._spans_by_stage.items()}


def most_at_once(spans: Sequence[TaskSpan]) -> int:
    """Return how many of *spans* ran at once at most.

    :param spans: tasks
    """
    moments = sorted([(span.started, 1) for span in spans] + [(span.ended, -1) for span in spans])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def _process_cpu_s(reports: Sequence[StageReport]) -> float:
    """Return the CPU time of a task's process; streamed stages each have that of all of them."""
    counted = [report.evidence.user_s + report.evidence.system_s for report in reports if report.evidence]
    return max(sum(report.cpu_s for report in reports), *counted, 0.0)


def _moment(time: datetime | None) -> float:
    return time.timestamp() if time else 0.0
