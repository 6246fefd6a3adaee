"""From the reports of measured runs to what a simulation draws from.

CPU time is what tasks are measured by, since it hardly changes with what else runs on the machine; the time
that passed says, where cores were free, how many of them a task's work can use, and what it waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.simulation.overheads import ENDING_S, START_UP_S, airflow_service
from airflow_provider_aiopt.simulation.samples import TaskSample, at_once, mean, samples_of
from airflow_provider_aiopt.simulation.service import Calibration, Empirical, StepService, constant
from airflow_provider_aiopt.telemetry.reports import RunReport

_MAPPED_STAGES = ("preprocess", "inference")  # as the templates map them
_BUSY_HOST = 0.9  # share of the host's CPU time above which no core counts as free
_MANY_OTHERS = 0.25  # of the cores: more are no small processes
_SOME_LIKE_IT = 1.2
_LEAST_USED = 0.05  # cores: a task that got less was no measure of its neighbours
_LEAST_SPREAD = 1.5  # largest over smallest task from which on set-up is fitted rather than read


@dataclass(frozen=True, slots=True)
class _Measured:
    """A task beside how many like it ran at once.

    :param sample: the task
    :param at_once: how many of its step ran on average, itself included
    """

    sample: TaskSample
    at_once: float

    @property
    def others(self) -> float:
        """Cores that neither it nor its like used but others did."""
        own = self.sample.cpu_s / self.sample.wall_s if self.sample.wall_s else 0.0
        return max(0.0, (self.sample.host_share or 0.0) * self.sample.cores - self.at_once * own)

    @property
    def crowded(self) -> bool:
        """Whether it had to share cores, so that the time that it took does not tell what it could use."""
        shared = self.others >= _MANY_OTHERS * self.sample.cores or self.at_once >= _SOME_LIKE_IT
        return shared and (self.sample.host_share or 0.0) >= _BUSY_HOST

    @property
    def neighbours(self) -> float:
        """Threads of others that wanted to run all the time.

        A fair scheduler gave to each thread alike, so that what this task's threads got says how many there
        were.
        """
        if not self.crowded:
            return 0.0
        sample = self.sample
        # One thread sets up, all of them work.
        set_up = sample.setup_s / sample.wall_s
        threads = set_up + (1 - set_up) * sample.threads
        used = max(_LEAST_USED, sample.cpu_s / sample.wall_s)
        return max(0.0, threads * (sample.cores / used - self.at_once))


def calibrate(reports: Sequence[RunReport]) -> Calibration:
    """Return what measured runs tell of their pipeline.

    :param reports: runs of one pipeline, of any number of shards, with Airflow's times where it has them
    :raises ReportError: if there is no run, if one has no finished task, or if they are of several pipelines
    """
    runs = [samples_of(report) for report in reports]
    _check(reports, runs)
    by_step: dict[str, list[_Measured]] = {}
    for samples in runs:
        for step in dict.fromkeys(sample.step for sample in samples):
            like = [sample for sample in samples if sample.step == step]
            by_step.setdefault(step, []).extend(_Measured(sample, at_once(like)) for sample in like)
    everything = [item for found in by_step.values() for item in found]
    cores = max(item.sample.cores for item in everything)
    # The largest step's tasks last longest, and keep most threads busy: what is beside them is seen best.
    largest = max(by_step.values(), key=lambda found: sum(item.sample.cpu_s for item in found))
    neighbours = _weighed(largest, lambda item: item.neighbours)
    return Calibration(
        pipeline=reports[0].pipeline,
        mode="streaming" if reports[0].overlapped else "staged",
        steps=tuple(_step(name, found, cores, neighbours) for name, found in by_step.items()),
        airflow=airflow_service(reports),
        items=max(1, round(mean(report.records_in for report in reports))),
        shards=max(len({item.sample.index for item in found}) for found in by_step.values()),
        cores=cores,
        services=_weighed(largest, lambda item: 0.0 if item.crowded else item.others),
        neighbours=neighbours,
        runs=len(reports),
        tasks=len(everything),
        crowded=neighbours >= cores / 2,
    )


def _check(reports: Sequence[RunReport], runs: Sequence[Sequence[TaskSample]]) -> None:
    if not reports:
        raise ReportError("There is no run to simulate from. Name at least one finished run")
    kinds = sorted({f"{item.pipeline} ({'streaming' if item.overlapped else 'staged'})" for item in reports})
    if len(kinds) > 1:
        raise ReportError(
            f"The runs are of {len(kinds)} pipelines: {', '.join(kinds)}. Give runs of one, in one mode"
        )
    for report, samples in zip(reports, runs, strict=True):
        if not samples or report.records_in < 1:
            raise ReportError(
                f"The run {report.run_id} has no finished task with records: there is nothing to draw "
                "service times from. Give a run that ended well"
            )


def _step(name: str, found: Sequence[_Measured], cores: int, neighbours: float) -> StepService:
    samples = [item.sample for item in found]
    stages = samples[0].stages
    parts = [_parts(item, cores, neighbours) for item in found]
    fixed_s, cpu_s_per_item = _line([(part.items, part.work_cpu_s) for part in parts])
    worked = [part for part in parts if part.items]
    expected = [fixed_s + cpu_s_per_item * part.items for part in worked]
    variation = [part.work_cpu_s / cpu for part, cpu in zip(worked, expected, strict=True) if cpu > 0]
    mapped = any(sample.index >= 0 for sample in samples) or _would_be_mapped(samples[0])
    commits, commit_s = map(sum, zip(*(sample.commits for sample in samples), strict=True))
    shard_wait_s = commit_s / commits if commits and not mapped else 0.0
    return StepService(
        name=name,
        stages=stages,
        mapped=mapped,
        model="inference" in stages,
        start_up_cpu_s=Empirical(values=tuple(part.start_up_cpu_s for part in parts)),
        setup_cpu_s=Empirical(values=tuple(part.setup_cpu_s + fixed_s for part in parts)),
        setup_wait_s=mean(part.setup_wait_s for part in parts),
        cpu_s_per_item=cpu_s_per_item,
        wait_s_per_item=_per_item(
            [(part.items, max(0.0, part.wait_s - shard_wait_s * part.commits)) for part in parts]
        ),
        shard_wait_s=shard_wait_s,
        ending_cpu_s=Empirical(values=tuple(part.ending_cpu_s for part in parts)),
        width=max(1.0, median(part.width for part in parts)),
        variation=Empirical(values=tuple(variation)) if variation else constant(1.0),
        gpu_share=min(1.0, mean(sample.gpu_share for sample in samples)),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """A task's time in parts, as on cores of its own."""

    items: int
    commits: int
    start_up_cpu_s: float
    setup_cpu_s: float
    setup_wait_s: float
    work_cpu_s: float
    wait_s: float
    width: float
    ending_cpu_s: float


def _parts(item: _Measured, cores: int, neighbours: float) -> _Parts:
    sample = item.sample
    # What one thread got of a core while others of its kind and the neighbours ran, too.
    share = min(1.0, cores / (item.at_once + neighbours))
    setup_s = sample.setup_s * share
    setup_cpu_s = min(setup_s, sample.cpu_s)
    work_cpu_s = sample.cpu_s - setup_cpu_s
    elapsed_s = max(0.0, sample.wall_s - sample.setup_s)
    used = work_cpu_s / elapsed_s if elapsed_s else 1.0
    width = max(used, float(sample.threads)) if item.crowded else used
    alone_s = elapsed_s * share if item.crowded else elapsed_s
    return _Parts(
        items=sample.items if elapsed_s else 0,
        commits=sample.commits[0],
        start_up_cpu_s=START_UP_S if sample.start_up_s is None else sample.start_up_s * share,
        setup_cpu_s=setup_cpu_s,
        setup_wait_s=setup_s - setup_cpu_s,
        work_cpu_s=work_cpu_s,
        wait_s=max(0.0, alone_s - work_cpu_s) if width <= 1 else 0.0,
        width=width,
        ending_cpu_s=ENDING_S if sample.ending_s is None else sample.ending_s * share,
    )


def _weighed(found: Sequence[_Measured], value: Callable[[_Measured], float]) -> float:
    """Return the mean of a value over tasks, each for as long as it ran."""
    known = [(value(item), item.sample.wall_s) for item in found if item.sample.host_share is not None]
    weight = sum(seconds for _, seconds in known)
    return sum(number * seconds for number, seconds in known) / weight if weight else 0.0


def _would_be_mapped(sample: TaskSample) -> bool:
    return sample.times is None and (len(sample.reports) > 1 or sample.stages[0] in _MAPPED_STAGES)


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return the intercept and the slope of CPU time over records, by least squares, neither negative.

    Tasks of about one size tell no intercept: then all of it is in the slope.
    """
    known = [(items, cpu_s) for items, cpu_s in points if items]
    if not known:
        return mean(cpu_s for _, cpu_s in points), 0.0
    sizes = [items for items, _ in known]
    slope = sum(cpu_s for _, cpu_s in known) / sum(sizes)
    if max(sizes) < _LEAST_SPREAD * min(sizes):
        return 0.0, slope
    centre, height = mean(sizes), mean(cpu_s for _, cpu_s in known)
    squares = sum((items - centre) ** 2 for items in sizes)
    fitted = sum((items - centre) * (cpu_s - height) for items, cpu_s in known) / squares
    intercept = height - fitted * centre
    return (intercept, fitted) if fitted > 0 and intercept > 0 else (0.0, slope)


def _per_item(points: Sequence[tuple[int, float]]) -> float:
    items = sum(count for count, _ in points)
    return sum(seconds for _, seconds in points) / items if items else 0.0
