"""The cheapest configuration that meets a goal under a load, found by simulation."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from airflow_provider_aiopt.exceptions import SimulationError
from airflow_provider_aiopt.simulation.arrivals import Batching, Load
from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.prediction import Prices
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.simulation.steady import Horizon, Service, serve

MOST_SIZES = 200
"""How many sizes of the cluster are looked at before the search gives up."""

_WINDOWS = (0.1, 0.2, 0.35)  # of the goal: what a record may wait for others of its run
_LESS = {"machines": "machine", "cores": "core", "gpus": "GPU", "active_runs": "active run"}
_COARSE = 16  # from so many machines on, sizes are looked at in steps of a sixteenth
_GROWTHS = (1.1, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Search:
    """What is free in a search.

    :param base: what a machine is, and the limits that are given
    :param fixed: fields of *base* that the user gave and the search leaves
    :param batching: how uploads become runs, None: the search chooses the window
    :param most_machines: most machines
    """

    base: Configuration
    fixed: frozenset[str] = frozenset()
    batching: Batching | None = None
    most_machines: int = 512


@dataclass(frozen=True, slots=True)
class Variant:
    """What becomes of the plan where one thing is different.

    :param change: what is different, in words
    :param service: what records have to wait for then
    """

    change: str
    service: Service


@dataclass(frozen=True, slots=True)
class Plan:
    """What meets a goal.

    :param goal_s: what 95 % of the records may take from upload to results
    :param best: the cheapest configuration that was found
    :param cost_per_hour: what it costs
    :param less: it with one less of what it has
    :param growth: the largest of a few factors of the load under which it still meets the goal; 1: none
    :param tried: simulated configurations
    """

    goal_s: float
    best: Service
    cost_per_hour: float
    less: tuple[Variant, ...]
    growth: float
    tried: int

    @property
    def margin_s(self) -> float:
        """What is left of the goal."""
        return self.goal_s - self.best.p95_s.high


def plan(
    calibration: Calibration,
    load: Load | Sequence[float],
    goal_s: float,
    search: Search,
    *,
    prices: Prices | None = None,
    horizon: Horizon | None = None,
) -> Plan:
    """Search the cheapest configuration under which 95 % of the records have results in time.

    Sizes are taken in the order of their price, without prices in that of machines and GPUs.  Of each, a few
    limits and windows are simulated once; what meets the goal is simulated again, with repetitions.

    :param calibration: the measured pipeline
    :param load: how records arrive, or the times of real uploads
    :param goal_s: what 95 % of the records may take
    :param search: what is free
    :param prices: of machines and GPUs
    :param horizon: how long each load is simulated
    :raises SimulationError: if no size that is looked at meets the goal
    :raises MissingExtraError: if SimPy is not installed
    """
    finder = _Finder(
        calibration, load, goal_s, search, prices=prices or Prices(), horizon=horizon or Horizon()
    )
    best = finder.find()
    return Plan(
        goal_s=goal_s,
        best=best,
        cost_per_hour=(prices or Prices()).per_hour(best.configuration),
        less=tuple(finder.less(best)),
        growth=finder.growth(best),
        tried=finder.tried,
    )


class _Finder:
    def __init__(
        self,
        calibration: Calibration,
        load: Load | Sequence[float],
        goal_s: float,
        search: Search,
        *,
        prices: Prices,
        horizon: Horizon,
    ) -> None:
        self._calibration = calibration
        self._load = load
        self._goal_s = goal_s
        self._search = search
        self._prices = prices
        self._horizon = horizon
        self._per_s = load.simulated_per_s if isinstance(load, Load) else (len(load) - 1) / load[-1]
        self.tried = 0

    def find(self) -> Service:
        """Return what the cheapest size that meets the goal gives."""
        nearest: Service | None = None
        for machines, gpus in self._sizes():
            found = sorted(
                self._glances(machines, gpus), key=lambda service: (service.growing, service.p95_s.mean)
            )
            for service in found[:2]:
                if not service.meets(self._goal_s):
                    break
                confirmed = self._serve(service.configuration, service.batching, self._horizon)
                if confirmed.meets(self._goal_s):
                    return confirmed
            nearest = min(filter(None, [nearest, *found[:1]]), key=lambda item: item.p95_s.mean, default=None)
        raise SimulationError(self._failure(nearest))

    def less(self, best: Service) -> Iterator[Variant]:
        """Yield what becomes of the plan with one less of each."""
        for field, name in _LESS.items():
            value = getattr(best.configuration, field)
            # A machine of fewer cores is asked for only where there is no machine to spare.
            if value > 1 and not (field == "cores" and best.configuration.machines > 1):
                changed = best.configuration.model_copy(update={field: value - 1})
                yield Variant(f"one {name} less", self._serve(changed, best.batching, self._horizon))

    def growth(self, best: Service) -> float:
        """Return how much more load the plan bears."""
        borne = 1.0
        for factor in _GROWTHS:
            load = _grown(self._load, factor)
            self.tried += 1
            glance = replace(self._horizon, repetitions=1)
            if not serve(self._calibration, best.configuration, load, best.batching, glance).meets(
                self._goal_s
            ):
                break
            borne = factor
        return borne

    def _serve(self, configuration: Configuration, batching: Batching, horizon: Horizon) -> Service:
        self.tried += 1
        return serve(self._calibration, configuration, self._load, batching, horizon)

    def _glances(self, machines: int, gpus: int) -> Iterator[Service]:
        glance = replace(self._horizon, repetitions=1)
        for configuration, batching in self._candidates(machines, gpus):
            if self._overloaded(configuration, batching):
                continue
            yield self._serve(configuration, batching, glance)

    def _candidates(self, machines: int, gpus: int) -> Iterator[tuple[Configuration, Batching]]:
        base, fixed = self._search.base, self._search.fixed
        cores = base.cores
        values = {
            "workers": sorted({1, cores, 2 * cores}),
            "shards": sorted({1, machines * cores}),
            "active_runs": [4, 16],
        }
        free = {key: options for key, options in values.items() if key not in fixed}
        size = base.model_copy(update={"machines": machines, "gpus": gpus})
        for combination in product(*free.values()):
            configuration = size.model_copy(update=dict(zip(free, combination, strict=True)))
            for batching in self._batchings():
                yield configuration, batching

    def _batchings(self) -> list[Batching]:
        if self._search.batching is not None:
            return [self._search.batching]
        windows = [round(share * self._goal_s, 3) for share in _WINDOWS]
        return [Batching(window, max(1, math.ceil(2 * self._per_s * window))) for window in windows]

    def _overloaded(self, configuration: Configuration, batching: Batching) -> bool:
        """Whether the utilisation law alone says that a configuration cannot keep up."""
        items = min(batching.max_batch, max(1.0, self._per_s * batching.window_s))
        runs_per_s = self._per_s / items
        demand = sum(
            shards * step.mean_cpu_s(items / shards)
            for step in self._calibration.steps
            for shards in [min(configuration.shards, math.ceil(items)) if step.mapped else 1]
        )
        spare = max(0.1, configuration.cores - self._calibration.services)
        return runs_per_s * demand >= configuration.machines * spare

    def _sizes(self) -> Iterator[tuple[int, int]]:
        """Yield numbers of machines and GPUs, the cheapest first, from what the load needs at least."""
        cpu_s = sum(step.cpu_s_per_item for step in self._calibration.steps)
        least = max(1, math.floor(self._per_s * cpu_s / self._search.base.cores))
        machines = self._search.base.machines if "machines" in self._search.fixed else least
        gpus = self._search.base.gpus
        if gpus and "gpus" not in self._search.fixed:
            waits = sum(step.wait_s_per_item for step in self._calibration.steps if step.model)
            gpus = max(1, math.floor(self._per_s * waits))
        waiting, seen = [(self._price(machines, gpus), machines, gpus)], {(machines, gpus)}
        for _ in range(MOST_SIZES):
            if not waiting:
                return
            _, machines, gpus = heapq.heappop(waiting)
            yield machines, gpus
            for more in self._larger(machines, gpus):
                if more not in seen:
                    seen.add(more)
                    heapq.heappush(waiting, (self._price(*more), *more))

    def _larger(self, machines: int, gpus: int) -> Iterator[tuple[int, int]]:
        if "machines" not in self._search.fixed and machines < self._search.most_machines:
            yield min(machines + 1 + machines // _COARSE, self._search.most_machines), gpus
        if gpus and "gpus" not in self._search.fixed:
            yield machines, gpus + 1 + gpus // _COARSE

    def _price(self, machines: int, gpus: int) -> float:
        size = self._search.base.model_copy(update={"machines": machines, "gpus": gpus})
        return self._prices.per_hour(size) or machines + gpus

    def _failure(self, nearest: Service | None) -> str:
        goal = f"No configuration that was simulated has 95 % of the results within {self._goal_s:g} s"
        if nearest is None or math.isinf(nearest.p95_s.mean):
            return (
                f"{goal}: none of them keeps up with {self._per_s:.3g} records/s. Allow more machines or a "
                "longer window, or make a record cheaper (aiopt report RUN --explain)"
            )
        return (
            f"{goal}; the nearest takes {nearest.p95_s.mean:.3g} s with {nearest.configuration.machines} "
            "machines. A run's own time bounds it: take a longer goal, a shorter window, or make start-up "
            "and records cheaper (aiopt report RUN --explain)"
        )


def _grown(load: Load | Sequence[float], factor: float) -> Load | Sequence[float]:
    if isinstance(load, Load):
        return replace(load, per_s=load.per_s * factor)
    return [time / factor for time in load]
