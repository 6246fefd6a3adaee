"""The pools that the templates' tasks need, and how an Airflow is brought to have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.exceptions import AirflowApiError, ConfigurationError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

State = Literal["unchanged", "different", "missing", "created", "updated"]
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class WantedPool:
    """A pool that the templates' tasks wait in.

    :param name: its name
    :param slots: how many slots it shall have, None where that is somebody else's business
    :param option: the option that says how many
    :param task_slots: how many slots the largest of the tasks takes
    :param description: for the list of pools in Airflow's UI
    """

    name: str
    slots: int | None
    option: str
    task_slots: int
    description: str

    def as_pool(self, found: AirflowPool | None = None) -> AirflowPool:
        """Return what Airflow shall have; what is left open is taken from *found*."""
        if self.slots is None:
            if found is None:
                raise self.unknown_size()
            return found
        # A deferred task still uses what the slot stands for, as a GPU that a pod holds.
        return AirflowPool(self.name, self.slots, include_deferred=True)

    def unknown_size(self) -> ConfigurationError:
        """Return the error about a pool that is missing, and of which nobody said how large it shall be."""
        return ConfigurationError(
            f"The pool {self.name!r} does not exist, and [aiopt] {self.option} does not say how many slots "
            f"it shall have. Set {self.option}, or make the pool yourself"
        )


@dataclass(frozen=True, slots=True)
class PoolState:
    """What was found of a pool, and what was done about it.

    :param wanted: what it shall be
    :param found: what Airflow had, None where it was missing
    :param state: how that compares, or what was done
    """

    wanted: WantedPool
    found: AirflowPool | None
    state: State

    @property
    def ok(self) -> bool:
        """Whether Airflow has the pool as it shall be."""
        return self.state not in {"different", "missing"}


class Pools(Protocol):
    """The part of :class:`~airflow_provider_aiopt.telemetry.airflow_api.AirflowApi` that deals with pools."""

    def pools(self) -> Mapping[str, AirflowPool]:
        """Return all pools by name."""

    def create_pool(self, pool: AirflowPool, description: str) -> None:
        """Make a pool."""

    def update_pool(self, pool: AirflowPool) -> None:
        """Change a pool."""


def wanted_pools(options: ConcurrencyOptions) -> tuple[WantedPool, ...]:
    """Return the pools that the templates use with these options, each once.

    :raises ConfigurationError: if two options want a different number of slots of the same pool
    """
    cpu = _wanted(options.cpu_pool, options.cpu_pool_slots, "cpu_pool_slots", 1, "CPU tasks")
    if options.uses_gpus:
        slots, task_slots = options.gpu_pool_slots, options.gpus_per_task
        inference = _wanted(options.gpu_pool, slots, "gpu_pool_slots", task_slots, "a slot for each GPU")
    else:
        slots = options.inference_pool_slots
        inference = _wanted(options.inference_pool, slots, "inference_pool_slots", 1, "inference")
    if cpu.name != inference.name:
        return cpu, inference
    return (_joined(cpu, inference),)


def _wanted(name: str, slots: int, option: str, task_slots: int, use: str) -> WantedPool:
    return WantedPool(name, slots or None, option, task_slots, f"airflow-provider-aiopt: {use}")


def _joined(one: WantedPool, other: WantedPool) -> WantedPool:
    """Return one pool for both uses; how large it is, only one of them may say."""
    if one.slots is not None and other.slots is not None and one.slots != other.slots:
        raise ConfigurationError(
            f"The pool {one.name!r} cannot have both {one.slots} slots ([aiopt] {one.option}) and "
            f"{other.slots} ([aiopt] {other.option}). Name two pools, or give both the same number"
        )
    sized = one if other.slots is None else other
    return WantedPool(
        sized.name,
        sized.slots,
        sized.option,
        max(one.task_slots, other.task_slots),
        "airflow-provider-aiopt: all tasks of the templates",
    )


def compare_pools(wanted: Iterable[WantedPool], found: Mapping[str, AirflowPool]) -> tuple[PoolState, ...]:
    """Say of each wanted pool whether Airflow has it as it shall be."""
    return tuple(_compare(pool, found.get(pool.name)) for pool in wanted)


def _compare(wanted: WantedPool, found: AirflowPool | None) -> PoolState:
    if found is None:
        return PoolState(wanted, None, "missing")
    return PoolState(wanted, found, "unchanged" if wanted.as_pool(found) == found else "different")


def set_up_pools(wanted: Iterable[WantedPool], airflow: Pools) -> tuple[PoolState, ...]:
    """Make what is missing and change what is different; doing it again changes nothing.

    Nothing is changed unless all of it can be.

    :raises ConfigurationError: if a pool is missing and no option says how large it shall be
    :raises AirflowApiError: where Airflow's API refuses or does not answer
    """
    states = compare_pools(wanted, airflow.pools())
    for state in states:
        if state.found is None and state.wanted.slots is None:
            raise state.wanted.unknown_size()
    return tuple(_set_up(state, airflow) for state in states)


def _set_up(state: PoolState, airflow: Pools) -> PoolState:
    if state.ok:
        return state
    pool = state.wanted.as_pool(state.found)
    if state.found is None:
        try:
            airflow.create_pool(pool, state.wanted.description)
        except AirflowApiError as error:
            if error.status != _CONFLICT:
                raise
            # Somebody made it meanwhile.
            again = _compare(state.wanted, airflow.pools().get(pool.name))
            if again.found is None:
                raise
            return _set_up(again, airflow)
        return PoolState(state.wanted, None, "created")
    airflow.update_pool(pool)
    return PoolState(state.wanted, state.found, "updated")
