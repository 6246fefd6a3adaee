"""From the hardware accounts of a run's tasks to a few curves: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.task_hardware import COLUMNS, TaskHardware
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts

MAX_STEPS = 120
"""Most points of a curve over several tasks."""

_SUMS = ("cpu_cores", "memory_bytes")
"""What several tasks use of is added up; of the rest, which belongs to their hosts, the mean is taken."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SampledTask(NamedTuple):
    """A task instance that left a hardware account.

    :param task_id: task id
    :param map_index: -1 where the task is not mapped
    :param use: the account
    """

    task_id: str
    map_index: int
    use: TaskHardware


class TaskName(_Model):
    """A task that has curves of its own.

    :param task_id: task id
    :param map_index: -1 where the task is not mapped
    """

    task_id: str
    map_index: int


class HardwareCurve(_Model):
    """How hardware was used over time by the tasks of a stage, or by one task.

    Value *n* of a column is the mean of the time that ends at ``t_s[n]``, but for the memory of a single
    task, which is its largest sample; None where no task was sampled.  A column is empty where nothing is
    known.

    :param name: the stage, or the task's id where a task ran several
    :param tasks: how many tasks it stands for
    :param t_s: seconds since :attr:`RunHardware.origin_at`
    :param cpu_cores: cores that the process trees of all tasks kept busy
    :param host_cpu: share of their hosts' CPU time in which some process ran, 0 to 1, mean over the tasks
    :param memory_bytes: resident sets of the process trees of all tasks
    :param gpu_utilisation: 0 to 1, mean over the tasks
    :param gpu_memory_bytes: memory in use on a task's GPUs, mean over the tasks
    """

    name: str
    tasks: int
    t_s: tuple[float, ...]
    cpu_cores: tuple[float | None, ...] = ()
    host_cpu: tuple[float | None, ...] = ()
    memory_bytes: tuple[float | None, ...] = ()
    gpu_utilisation: tuple[float | None, ...] = ()
    gpu_memory_bytes: tuple[float | None, ...] = ()


class MemoryUse(_Model):
    """How near a task came to its memory limit.

    :param task_id: task id
    :param map_index: -1 where the task is not mapped
    :param memory_bytes: its largest sample
    :param limit_bytes: the memory that it may have
    """

    task_id: str
    map_index: int
    memory_bytes: int
    limit_bytes: int


class RunHardware(_Model):
    """The hardware of a run over time, or that of some of its tasks.

    :param origin: what the times count from: the beginning of the ``run``, or of the ``task`` where it is one
    :param origin_at: when that was; None where no task was sampled
    :param curves: one for each stage, in order; of a single task its own points
    :param tasks: the tasks in them
    :param fullest: the task that came nearest to its memory limit; None where no limit is known
    :param unread: accounts that could not be read, or were too many
    """

    origin: Literal["run", "task"]
    origin_at: AwareDatetime | None = None
    curves: tuple[HardwareCurve, ...] = ()
    tasks: tuple[TaskName, ...] = ()
    fullest: MemoryUse | None = None
    unread: int = 0


class _Grid(NamedTuple):
    """Steps of equal length that all curves of a run share.

    :param begin_s: where the first begins
    :param step_s: their length
    :param steps: how many there are
    """

    begin_s: float
    step_s: float
    steps: int

    def parts(self, begin_s: float, end_s: float) -> Iterator[tuple[int, float]]:
        """Cut a time into the steps that it falls into, each with its seconds."""
        first = min(int((begin_s - self.begin_s) / self.step_s), self.steps - 1)
        for step in range(max(first, 0), self.steps):
            step_begin = self.begin_s + step * self.step_s
            if step_begin >= end_s:
                return
            if (part := min(end_s, step_begin + self.step_s) - max(begin_s, step_begin)) > 0:
                yield step, part


class _Total(NamedTuple):
    """A column over several tasks, for each step.

    :param amounts: its integral over time
    :param seconds: the time of all tasks together in which it is known
    """

    amounts: list[float]
    seconds: list[float]

    def values(self, step_s: float | None) -> tuple[float | None, ...]:
        """Return sums over the tasks where *step_s* is a step's length, else their means."""
        if not any(self.seconds):
            return ()
        return tuple(
            _rounded(amount / (step_s or known)) if known else None
            for amount, known in zip(self.amounts, self.seconds, strict=True)
        )


def build_run_hardware(
    run: RunFacts, instances: Sequence[TaskFacts], found: Sequence[SampledTask], *, unread: int = 0
) -> RunHardware:
    """Put the accounts of a run's tasks together.

    An account of an earlier attempt than the task's present one does not count.

    :param run: Airflow's facts of the run
    :param instances: Airflow's facts of its task instances
    :param found: the accounts of those tasks that are asked for
    :param unread: how many there are besides
    """
    attempts = {(task.task_id, task.map_index): task.try_number for task in instances}
    tasks = [task for task in found if _is_current(task, attempts)]
    if not tasks:
        return RunHardware(origin="run", unread=unread)
    first = min(task.use.began_at for task in tasks)
    several = len(tasks) > 1
    origin = min(run.started_at or first, first) if several else first
    return RunHardware(
        origin="run" if several else "task",
        origin_at=origin,
        curves=tuple(_curves(tasks, origin)) if several else (_own_curve(tasks[0]),),
        tasks=tuple(
            TaskName(task_id=task.task_id, map_index=task.map_index) for task in sorted(tasks, key=_place)
        ),
        fullest=_fullest(tasks),
        unread=unread,
    )


def _is_current(task: SampledTask, attempts: Mapping[tuple[str, int], int]) -> bool:
    attempt = attempts.get((task.task_id, task.map_index))
    return attempt is not None and task.use.try_number >= attempt


def _name(task: SampledTask) -> str:
    return task.use.stages[0] if len(task.use.stages) == 1 else task.task_id


def _place(task: SampledTask) -> tuple[int, str, int]:
    stage = task.use.stages[0]
    return STAGES.index(stage) if stage in STAGES else len(STAGES), task.task_id, task.map_index


def _own_curve(task: SampledTask) -> HardwareCurve:
    columns = {column: getattr(task.use, column) for column in COLUMNS}
    return HardwareCurve(name=_name(task), tasks=1, t_s=task.use.offsets_s, **columns)


def _curves(tasks: Sequence[SampledTask], origin: datetime) -> Iterator[HardwareCurve]:
    groups: dict[str, list[TaskHardware]] = {}
    for task in sorted(tasks, key=lambda task: (_place(task)[0], task.use.began_at)):
        groups.setdefault(_name(task), []).append(task.use)
    grid = _grid([task.use for task in tasks], origin)
    ends = tuple(round(grid.begin_s + step * grid.step_s, 3) for step in range(1, grid.steps + 1))
    for name, uses in groups.items():
        yield HardwareCurve(name=name, tasks=len(uses), t_s=ends, **_columns(uses, grid, origin))


def _grid(uses: Sequence[TaskHardware], origin: datetime) -> _Grid:
    begin_s = min(_since(origin, use) for use in uses)
    length_s = max(_since(origin, use) + use.offsets_s[-1] for use in uses) - begin_s
    # Finer steps than the samples' own would show their edges and nothing else.
    finest_s = min(use.offsets_s[-1] / len(use.offsets_s) for use in uses)
    steps = max(1, min(MAX_STEPS, int(length_s / finest_s)))
    return _Grid(begin_s, length_s / steps, steps)


def _columns(
    uses: Sequence[TaskHardware], grid: _Grid, origin: datetime
) -> dict[str, tuple[float | None, ...]]:
    """Return each column over all *uses*, as integrals, so that nothing is lost between the steps."""
    totals = {column: _Total([0.0] * grid.steps, [0.0] * grid.steps) for column in COLUMNS}
    for use in uses:
        shift = _since(origin, use)
        ends = pairwise((shift, *(shift + offset for offset in use.offsets_s)))
        parts = [(place, *part) for place, (begin, end) in enumerate(ends) for part in grid.parts(begin, end)]
        for column, (amounts, seconds) in totals.items():
            values = getattr(use, column)
            for place, step, part in parts if values else ():
                if (value := values[place]) is not None:
                    amounts[step] += value * part
                    seconds[step] += part
    return {
        column: total.values(grid.step_s if column in _SUMS else None) for column, total in totals.items()
    }


def _since(origin: datetime, use: TaskHardware) -> float:
    return (use.began_at - origin).total_seconds()


def _fullest(tasks: Sequence[SampledTask]) -> MemoryUse | None:
    uses = [
        MemoryUse(task_id=task.task_id, map_index=task.map_index, memory_bytes=largest, limit_bytes=limit)
        for task in tasks
        if (limit := task.use.memory_limit_bytes)
        and (largest := max((value for value in task.use.memory_bytes if value is not None), default=0))
    ]
    return max(uses, key=lambda use: use.memory_bytes / use.limit_bytes, default=None)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
