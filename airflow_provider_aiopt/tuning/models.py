"""What is asked of a search for better settings, what a trial tells, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from airflow_provider_aiopt.compare.models import Agreement, MetricComparison, Settings, Verdict

Objective = Literal["throughput", "latency"]
"""What is made better: records per second, or the 95th percentile of a batch's time from read to results."""

Outcome = Literal["complete", "pruned", "infeasible", "failed"]
"""What became of a trial.

``pruned`` fell behind and was given up, ``infeasible`` broke a limit, ``failed`` crashed, hung or raised.
"""

Origin = Literal["baseline", "guess", "search"]
"""Where a trial's settings come from: the user's own spec, what is known of the machine, or the sampler."""

Ending = Literal["budget", "trials", "converged", "exhausted", "interrupted"]
"""Why a search ended."""

Configuration = Mapping[str, Any]
"""Values by dotted key of the spec; None for a key that is left out, so that its default holds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What no recommended configuration may exceed.

    :param latency_s: 95th percentile of a batch's time from read to results, in seconds; None for no limit
    :param memory_bytes: resident memory of the process and its descendants, in bytes; None for no limit
    """

    latency_s: float | None = None
    memory_bytes: int | None = None

    def excess(self, latency_s: float | None, memory_bytes: int | None) -> dict[str, float]:
        """Return by how much each limit is passed, relative to it; negative where there is room.

        :param latency_s: what was measured, None where it was not
        :param memory_bytes: what was measured, None where it was not
        """
        pairs = {
            "latency": (latency_s, self.latency_s),
            "memory": (memory_bytes, self.memory_bytes),
        }
        return {
            name: found / limit - 1
            for name, (found, limit) in pairs.items()
            if found is not None and limit is not None
        }


@dataclass(frozen=True, slots=True)
class Rounds:
    """How finalists are measured.

    :param rounds: how many times each; enlarged where so few could tell nothing
    :param round_s: seconds of each, from its first results on
    :param answers: records that each runs to the end, to compare what it answers
    :param min_agreement: share of the records that must be answered alike, 0 to 1
    :param settings: when two differ
    """

    rounds: int = 8
    round_s: float = 1.0
    answers: int = 64
    min_agreement: float = 0.98
    settings: Settings = field(default_factory=Settings)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Answer):
    """One configuration that was tried.

    :param number: its place among all, the baseline's being 0
    :param origin: where it comes from
    :param configuration: values by dotted key; None where the spec's default holds
    :param outcome: what became of it
    :param reason: why it did not complete
    :param items_per_s: records per second, the warm-up cut; None where nothing was measured
    :param error: half-width of the 95 % interval of ``items_per_s``, relative to it
    :param p95_s: 95th percentile of the batches' times from read to results, in seconds
    :param peak_memory_bytes: largest resident memory of the process and its descendants
    :param windows: windows that were measured
    :param start_s: from the start of its process to its first results, in seconds
    :param seconds: all that it took
    :param ended_s: when it ended, in seconds of the search
    """

    number: int
    origin: Origin
    configuration: dict[str, JsonValue]
    outcome: Outcome
    reason: str | None = None
    items_per_s: float | None = None
    error: float | None = None
    p95_s: float | None = None
    peak_memory_bytes: int | None = None
    windows: int = 0
    start_s: float | None = None
    seconds: float
    ended_s: float

    def value(self, objective: Objective) -> float | None:
        """Return what is made better, None where it was not measured.

        :param objective: which of the two
        """
        return self.items_per_s if objective == "throughput" else self.p95_s


class Finalist(_Answer):
    """A configuration that was measured again, in turn with the baseline.

    :param trial: its number
    :param configuration: values by dotted key
    :param verdict: beside the baseline
    :param adjusted_p: p-value of the rank test after Holm's adjustment
    :param metric: its figures beside the baseline's; a ratio above 1 is more of it
    :param agreement: of its answers with the baseline's
    :param peak_memory_bytes: largest resident memory while it was measured again
    :param refused: why it is no winner whatever its figures, None where nothing speaks against it
    """

    trial: int
    configuration: dict[str, JsonValue]
    verdict: Verdict
    adjusted_p: float
    metric: MetricComparison
    agreement: Agreement | None = None
    peak_memory_bytes: int | None = None
    refused: str | None = None


class AirflowSetting(_Answer):
    """One option of Airflow that goes with the winning spec.

    :param section: its section of ``airflow.cfg``
    :param key: its name
    :param value: what to set it to
    :param why: the reason
    """

    section: str
    key: str
    value: str
    why: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"AIRFLOW__{self.section}__{self.key}".upper()


class TuneReport(_Answer):
    """What a search found.

    :param pipeline: name of the pipeline
    :param objective: what was made better
    :param records: records of the sample
    :param total_records: records that the source has
    :param space: the values that were searched, by dotted key
    :param grid_size: how many configurations there are in all
    :param trials: all trials in order, the baseline first
    :param ended: why the search ended
    :param finalists: those that were measured again, the best first
    :param dropped: why others could not be measured again, by the number of their trial
    :param winner: number of the trial to change to; None where no gain was established
    :param changes: values by dotted key that make the winning spec of the user's
    :param airflow: Airflow's options that go with it
    :param seconds: all that the search took, measuring again included
    :param seed: of the sampler
    """

    schema_version: Literal[1] = 1
    pipeline: str
    objective: Objective
    records: int
    total_records: int
    space: dict[str, list[JsonValue]]
    grid_size: int
    trials: tuple[Trial, ...]
    ended: Ending
    finalists: tuple[Finalist, ...] = ()
    dropped: dict[int, str] = Field(default_factory=dict)
    winner: int | None = None
    changes: dict[str, JsonValue] = Field(default_factory=dict)
    airflow: tuple[AirflowSetting, ...] = ()
    seconds: float
    seed: int

    @property
    def baseline(self) -> Trial:
        """The user's own settings, as they were measured first."""
        return self.trials[0]

    @property
    def best(self) -> Finalist | None:
        """The finalist to change to, None where no gain was established."""
        return next((item for item in self.finalists if item.trial == self.winner), None)
