"""A pipeline under a load that goes on: from a record's upload to its results."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean
from typing import TYPE_CHECKING

from airflow_provider_aiopt.simulation.arrivals import Batching, Load, runs_of
from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.engine import simulate
from airflow_provider_aiopt.simulation.estimates import Estimate, estimate, rank
from airflow_provider_aiopt.simulation.prediction import core_share, gpu_share, worker_share
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.simulation.trace import Arrival

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_ARRIVALS = 400_000
_SHARES = (0.5, 0.95, 0.99)
_GROWS = 1.5
"""Time to results in the last third over that in the first, above which the backlog counts as growing."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a load is simulated.

    :param measured_s: for how long records count
    :param warm_up_s: before that, records pass that do not, so that none finds an empty system
    :param repetitions: simulations, each with draws of its own
    :param seed: of all draws
    """

    measured_s: float = 1200.0
    warm_up_s: float = 300.0
    repetitions: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """What records under a load have to wait for.

    :param configuration: what was simulated
    :param batching: how uploads became runs
    :param p50_s: median time from a record's upload to the end of its run
    :param p95_s: 95 % of the records took at most so long
    :param p99_s: 99 % did
    :param growing: whether the backlog grew, so that these times hang on how long it is looked at
    :param runs_per_hour: runs that were begun
    :param worker_share: share of the workers that had a task
    :param core_share: share of the cores' time that tasks used
    :param gpu_share: share of the GPUs' time in which they computed; None without
    """

    configuration: Configuration
    batching: Batching
    p50_s: Estimate
    p95_s: Estimate
    p99_s: Estimate
    growing: bool
    runs_per_hour: float
    worker_share: float
    core_share: float
    gpu_share: float | None

    def meets(self, p95_s: float) -> bool:
        """Whether 95 % of the records take at most so long, at the upper end of the interval.

        :param p95_s: the goal
        """
        return not self.growing and self.p95_s.high <= p95_s


def serve(
    calibration: Calibration,
    configuration: Configuration,
    load: Load | Sequence[float],
    batching: Batching,
    horizon: Horizon,
) -> Service:
    """Simulate a load that goes on.

    :param calibration: the measured pipeline
    :param configuration: what there would be for it
    :param load: how records arrive, or the times of real uploads; these are repeated as often as need be
    :param batching: how uploads become runs
    :param horizon: for how long
    :raises MissingExtraError: if SimPy is not installed
    """
    passes = [
        _pass(calibration, configuration, load, batching, horizon=horizon, number=number)
        for number in range(horizon.repetitions)
    ]
    return Service(
        configuration=configuration,
        batching=batching,
        p50_s=estimate([item.quantiles_s[0.5] for item in passes]),
        p95_s=estimate([item.quantiles_s[0.95] for item in passes]),
        p99_s=estimate([item.quantiles_s[0.99] for item in passes]),
        growing=sum(item.growing for item in passes) * 2 > len(passes),
        runs_per_hour=mean(item.runs_per_hour for item in passes),
        worker_share=mean(item.worker_share for item in passes),
        core_share=mean(item.core_share for item in passes),
        gpu_share=mean(item.gpu_share for item in passes) if configuration.gpus else None,
    )


@dataclass(frozen=True, slots=True)
class _Pass:
    quantiles_s: dict[float, float]
    growing: bool
    runs_per_hour: float
    worker_share: float
    core_share: float
    gpu_share: float


def _pass(
    calibration: Calibration,
    configuration: Configuration,
    load: Load | Sequence[float],
    batching: Batching,
    *,
    horizon: Horizon,
    number: int,
) -> _Pass:
    import numpy as np

    end_s = horizon.warm_up_s + horizon.measured_s
    if isinstance(load, Load):
        runs, counted, uploaded_s = _drawn_runs(load, batching, end_s, f"{horizon.seed}/{number}/arrivals")
    else:
        runs, counted, uploaded_s = _made_runs(_repeated(load, end_s), batching)
    trace = simulate(calibration, configuration, runs, seed=f"{horizon.seed}/{number}", until_s=end_s)
    ended_s = np.repeat([run.ended_s for run in trace.runs], counted)
    counts = uploaded_s >= horizon.warm_up_s
    uploaded_s, took_s = uploaded_s[counts], (ended_s - uploaded_s)[counts]
    settled = np.sort(_settled(uploaded_s, took_s))
    return _Pass(
        quantiles_s={share: float(settled[rank(len(settled), share)]) for share in _SHARES},
        growing=_grows(took_s),
        runs_per_hour=len(runs) / end_s * 3600,
        worker_share=worker_share(trace),
        core_share=core_share(trace),
        gpu_share=gpu_share(trace),
    )


@lru_cache(maxsize=16)
def _drawn_runs(
    load: Load, batching: Batching, end_s: float, seed: str
) -> tuple[list[Arrival], list[int], NDArray[np.float64]]:
    """Return the runs that a load becomes; a search asks for the same ones again and again.

    Of a large load each arrival stands for several records, which come so close together that nothing but the
    memory of this process would tell them apart.
    """
    weight = math.ceil(load.per_s * end_s / _MOST_ARRIVALS)
    thinned = replace(load, per_s=load.per_s / weight, burst=max(1, load.burst // weight))
    fewer = replace(batching, max_batch=max(1, batching.max_batch // weight))
    times = thinned.times(end_s, random.Random(seed))  # noqa: S311 - nothing secret
    runs, counted, uploaded_s = _made_runs(times, fewer)
    return [replace(run, items=weight * run.items) for run in runs], counted, uploaded_s


def _made_runs(
    times: Sequence[float], batching: Batching
) -> tuple[list[Arrival], list[int], NDArray[np.float64]]:
    """Return the runs, how many uploads each has, and when these came, in the order of the runs."""
    import numpy as np

    # Each upload is in one run, and none overtakes another.
    runs = [run for run, _ in runs_of(times, batching)]
    return runs, [run.items for run in runs], np.asarray(times)


def _settled(uploaded_s: NDArray[np.float64], took_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times of the records, without those at the end that nobody waited for.

    They are uploads of the last moments, as long as the slowest that ended takes.
    """
    import numpy as np

    ended = took_s[np.isfinite(took_s)]
    if not len(ended):
        return np.array([math.inf])
    settled = took_s[uploaded_s <= uploaded_s.max() - ended.max()]
    return settled if len(settled) else ended


def _grows(took_s: NDArray[np.float64]) -> bool:
    import numpy as np

    third = len(took_s) // 3
    if not third:
        return False
    first, middle = np.sort(took_s[:third]), np.sort(took_s[third : 2 * third])
    median = rank(third, 0.5)
    return bool(middle[median] > _GROWS * first[median] or np.isinf(first[median]))


def _repeated(times: Sequence[float], until_s: float) -> list[float]:
    span_s = times[-1] + times[-1] / (len(times) - 1)
    rounds = math.ceil(until_s / span_s)
    every = [number * span_s + time for number in range(rounds) for time in times]
    return [time for time in every if time < until_s]
