"""A task's hardware over time, condensed so that it fits beside the task's report into Airflow's database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from airflow_provider_aiopt.telemetry.hardware.models import HardwareSeries, HardwareUse
from airflow_provider_aiopt.telemetry.reports import StageReport

MIN_POINTS = 2
"""A single point says no more than the levels in the task's report."""

MAX_POINTS = 60
"""Most points of a task's curves: one for each dozen pixels of a wide page."""

MAX_SAMPLES = 2 * MAX_POINTS
"""Most points that an account is made from, or read with."""

MAX_BYTES = 4096
"""Most bytes of JSON that they take: what an XCom may have."""

COLUMNS = ("cpu_cores", "host_cpu", "memory_bytes", "gpu_utilisation", "gpu_memory_bytes")
"""The curves, each a field of :class:`TaskHardware` and a column of the sampler's series."""

_Offset = Annotated[float, Field(ge=1e-3, le=1e9)]

_IN_BYTES = ("memory_bytes", "gpu_memory_bytes")
_DIGITS = 3


class TaskHardware(BaseModel):
    """How a task's machine was used over time: columns of equal length, empty where nothing is known.

    Value *n* is that of the time that ends at ``offsets_s[n]``: a mean, but for memory the largest sample.

    :param stages: the stages that the task ran, in order
    :param try_number: the attempt, 1 for the first
    :param began_at: when the first sample was taken, in UTC
    :param offsets_s: seconds since then, ascending
    :param cpu_cores: cores that the process tree kept busy
    :param host_cpu: share of the host's CPU time in which some process ran, 0 to 1
    :param memory_bytes: resident sets of the process tree
    :param gpu_utilisation: share of the time in which a kernel ran, mean over the process's GPUs, 0 to 1
    :param gpu_memory_bytes: memory in use on these GPUs
    :param memory_limit_bytes: memory that the process tree may have
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stages: tuple[str, ...] = Field(min_length=1)
    try_number: int = 1
    began_at: AwareDatetime
    offsets_s: tuple[_Offset, ...] = Field(min_length=1, max_length=MAX_SAMPLES)
    cpu_cores: tuple[float | None, ...] = ()
    host_cpu: tuple[float | None, ...] = ()
    memory_bytes: tuple[int | None, ...] = ()
    gpu_utilisation: tuple[float | None, ...] = ()
    gpu_memory_bytes: tuple[int | None, ...] = ()
    memory_limit_bytes: int | None = None

    @model_validator(mode="after")
    def _columns_fit(self) -> TaskHardware:
        """Refuse columns that do not fit to the times: a task may write what it likes into its XComs."""
        if any(earlier >= later for earlier, later in pairwise(self.offsets_s)):
            raise ValueError("offsets_s must ascend")
        for column in COLUMNS:
            if len(getattr(self, column)) not in {0, len(self.offsets_s)}:
                raise ValueError(f"{column} must be as long as offsets_s, or empty")
        return self

    def dump(self) -> dict[str, Any]:
        """Return what the XCom holds."""
        return self.model_dump(mode="json", exclude_defaults=True)


def task_hardware(reports: Sequence[StageReport]) -> TaskHardware | None:
    """Return the hardware account of a task, None where no stage has a series of :data:`MIN_POINTS`.

    Of stages that ran side by side in one process the first has the series, which is that of all.

    :param reports: what the task reports, its stages in order
    """
    stages = tuple(report.stage for report in reports)
    for report in reports:
        if (use := report.hardware) is None or (series := use.series) is None:
            continue
        if len(series.offsets_s) >= MIN_POINTS:
            return _condensed(_account(report, use, series, stages))
    return None


def _account(
    report: StageReport, use: HardwareUse, series: HardwareSeries, stages: tuple[str, ...]
) -> TaskHardware:
    return TaskHardware(
        stages=stages,
        try_number=report.task.try_number if report.task else 1,
        began_at=report.started_at,
        offsets_s=series.offsets_s,
        memory_limit_bytes=use.memory_limit_bytes,
        **{column: _rounded(column, getattr(series, column)) for column in COLUMNS},
    )


def _condensed(whole: TaskHardware) -> TaskHardware:
    """Join neighbours until the points are few and small enough."""
    while len(whole.offsets_s) > 1 and (
        len(whole.offsets_s) > MAX_POINTS or len(json.dumps(whole.dump())) >= MAX_BYTES
    ):
        whole = _halved(whole)
    return whole


def _halved(whole: TaskHardware) -> TaskHardware:
    lengths = [end - begin for begin, end in pairwise((0.0, *whole.offsets_s))]
    pairs = [slice(first, first + 2) for first in range(0, len(lengths), 2)]
    update: dict[str, Any] = {"offsets_s": tuple(whole.offsets_s[pair][-1] for pair in pairs)}
    for column in COLUMNS:
        if values := getattr(whole, column):
            joined = [_join(column, values[pair], lengths[pair]) for pair in pairs]
            update[column] = _rounded(column, joined)
    return whole.model_copy(update=update)


def _join(column: str, values: Sequence[float | None], lengths: Sequence[float]) -> float | None:
    known = [(value, length) for value, length in zip(values, lengths, strict=True) if value is not None]
    if not known:
        return None
    if column == "memory_bytes":  # a peak that is averaged away is one that nobody finds
        return max(value for value, _ in known)
    return sum(value * length for value, length in known) / sum(length for _, length in known)


def _rounded(column: str, values: Sequence[float | None]) -> tuple[float | None, ...]:
    kind = int if column in _IN_BYTES else float
    return tuple(None if value is None else kind(float(f"{value:.{_DIGITS}g}")) for value in values)
