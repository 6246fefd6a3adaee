"""Whether a stage took too long or lost too many records: pure functions without files or a clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.telemetry.advice import largest_part
from airflow_provider_aiopt.telemetry.units import duration, share

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.reports import StageSummary

OTHER_STAGES = "*"
"""In place of a stage's name: every stage that has no limits of its own."""

Measure = Literal["seconds", "seconds_per_item", "bad_fraction"]


@dataclass(frozen=True, slots=True)
class StageLimit:
    """How long one stage may take.

    :param seconds: from the first task's beginning to the last one's end; None for no limit
    :param seconds_per_item: the same over the records that were worked on, good and bad; None for no limit
    """

    seconds: float | None = None
    seconds_per_item: float | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the stages of a run are held to.

    :param stages: limits by the stage's name, :data:`OTHER_STAGES` among them
    :param max_bad_fraction: largest part of a stage's records that may be quarantined, 0 to 1; None for no
        limit
    :param min_items: how many records a stage must have worked on before its time per record and its bad
        fraction are judged: one bad record of two says little
    """

    stages: Mapping[str, StageLimit]
    max_bad_fraction: float | None = None
    min_items: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        :raises ConfigurationError: naming the value
        """
        fraction = self.max_bad_fraction
        if fraction is not None and not (_is_number(fraction) and 0 <= fraction < 1):
            raise ConfigurationError(
                f"max_bad_fraction is {fraction!r}; it must be a number from 0 to below 1, such as 0.01"
            )
        items: object = self.min_items
        if not isinstance(items, int) or items < 1:
            raise ConfigurationError(f"min_items is {items!r}; it must be a whole number, at least 1")


@dataclass(frozen=True, slots=True)
class Breach:
    """A stage that went over a limit; as a string, a sentence for people.

    :param stage: the stage's name
    :param measure: what was over its limit
    :param measured: seconds, seconds per record, or a fraction from 0 to 1
    :param limit: in the same unit
    :param advice: where the time or the records went, and what to look at
    """

    stage: str
    measure: Measure
    measured: float
    limit: float
    advice: str

    def __str__(self) -> str:
        """Return what was measured, and the limit."""
        if self.measure == "bad_fraction":
            return (
                f"{self.stage} quarantined {share(self.measured)} of its records; "
                f"at most {share(self.limit)} may be"
            )
        unit = " per record" if self.measure == "seconds_per_item" else ""
        return f"{self.stage} took {duration(self.measured)}{unit}; its limit is {duration(self.limit)}"


def read_limits(thresholds: Mapping[str, Any]) -> dict[str, StageLimit]:
    """Read limits as users write them.

    :param thresholds: for each stage its limit in seconds, or a mapping with the fields of
        :class:`StageLimit`; :data:`OTHER_STAGES` for all others
    :returns: the limits by stage
    :raises ConfigurationError: if a limit is no positive number, or a field is unknown
    """
    if not isinstance(thresholds, Mapping):
        raise ConfigurationError(
            f"thresholds must map stages to limits, such as {{'inference': 5.0}}; found {thresholds!r:.200}"
        )
    return {str(stage): _read_limit(str(stage), limit) for stage, limit in thresholds.items()}


def find_breaches(stages: Sequence[StageSummary], thresholds: Thresholds) -> tuple[Breach, ...]:
    """Return what went over its limit, in the order of the stages.

    :param stages: the stages of a run or of one task, as :func:`build_run_report` adds them up
    :param thresholds: what they are held to
    """
    return tuple(breach for stage in stages for breach in _breaches(stage, thresholds))


def _breaches(stage: StageSummary, thresholds: Thresholds) -> Iterator[Breach]:
    limit = thresholds.stages.get(stage.stage) or thresholds.stages.get(OTHER_STAGES) or StageLimit()
    worked_on = stage.items - stage.resumed + stage.quarantined
    judged = worked_on >= thresholds.min_items
    if limit.seconds is not None and stage.duration_s > limit.seconds:
        yield Breach(stage.stage, "seconds", stage.duration_s, limit.seconds, _where_time_went(stage))
    if limit.seconds_per_item is not None and judged:
        each = stage.duration_s / worked_on
        if each > limit.seconds_per_item:
            advice = _where_time_went(stage)
            yield Breach(stage.stage, "seconds_per_item", each, limit.seconds_per_item, advice)
    allowed = thresholds.max_bad_fraction
    if allowed is not None and judged:
        bad = stage.quarantined / (stage.items + stage.quarantined)
        if bad > allowed:
            advice = f"{stage.quarantined} records are in the run's quarantine, each with its reason"
            yield Breach(stage.stage, "bad_fraction", bad, allowed, advice)


def _where_time_went(stage: StageSummary) -> str:
    part = largest_part(stage)
    return f"{share(part.share)} of its tasks' time went into {part.name}. {part.remedy}"


def _read_limit(stage: str, limit: Any) -> StageLimit:
    if isinstance(limit, StageLimit):
        found = limit
    elif isinstance(limit, Mapping):
        known = [field.name for field in fields(StageLimit)]
        if unknown := [name for name in limit if name not in known]:
            raise ConfigurationError(
                f"The threshold of stage {stage!r} has {unknown[0]!r}; it can have {' and '.join(known)}"
            )
        found = StageLimit(**limit)
    else:
        found = StageLimit(seconds=limit)
    given = [value for value in (found.seconds, found.seconds_per_item) if value is not None]
    if not given or not all(_is_number(value) and value > 0 for value in given):
        raise ConfigurationError(
            f"The threshold of stage {stage!r} is {limit!r}; it must be seconds above 0, such as 5.0, or a "
            "mapping such as {'seconds_per_item': 0.05}"
        )
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
