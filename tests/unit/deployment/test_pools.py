from __future__ import annotations

import pytest
from deployments import FakePools, read_options
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.deployment.pools import WantedPool, compare_pools, set_up_pools, wanted_pools
from airflow_provider_aiopt.exceptions import AirflowApiError, ConfigurationError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool


def gpus(slots: int | None = 2, name: str = "gpus", task_slots: int = 1) -> WantedPool:
    return WantedPool(name, slots, "gpu_pool_slots", task_slots, "for tests")


class TestWanted:
    def test_one_pool_for_all_by_default(self) -> None:
        (pool,) = wanted_pools(read_options())
        assert (pool.name, pool.slots, pool.task_slots) == ("default_pool", None, 1)

    def test_gpus(self) -> None:
        cpu, gpu = wanted_pools(read_options(cpu_pool="small", gpu_pool_slots=4, gpus_per_task=2))
        assert (cpu.name, cpu.slots) == ("small", None)
        assert (gpu.name, gpu.slots, gpu.option, gpu.task_slots) == ("gpus", 4, "gpu_pool_slots", 2)

    def test_inference_without_gpus(self) -> None:
        _, pool = wanted_pools(read_options(inference_pool="models", inference_pool_slots=3))
        assert (pool.name, pool.slots, pool.option) == ("models", 3, "inference_pool_slots")

    @pytest.mark.parametrize(("cpu", "gpu", "slots"), [(0, 3, 3), (3, 3, 3), (3, 0, 3)])
    def test_a_pool_for_both_uses_is_made_once(self, cpu: int, gpu: int, slots: int) -> None:
        options = {"inference_pool_slots": 3, "inference_pool": "all"} if not gpu else {"gpu_pool": "all"}
        (pool,) = wanted_pools(
            read_options(cpu_pool="all", cpu_pool_slots=cpu, gpu_pool_slots=gpu, **options)
        )
        assert (pool.name, pool.slots) == ("all", slots)

    def test_the_largest_task_counts_in_a_pool_for_both(self) -> None:
        (pool,) = wanted_pools(
            read_options(cpu_pool="all", gpu_pool="all", gpu_pool_slots=4, gpus_per_task=4)
        )
        assert pool.task_slots == 4

    def test_two_sizes_of_one_pool_are_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"both 2 slots \(\[aiopt\] cpu_pool_slots\) and 3"):
            wanted_pools(read_options(cpu_pool="all", cpu_pool_slots=2, gpu_pool="all", gpu_pool_slots=3))


class TestSetUp:
    def test_what_is_missing_is_made_with_deferred_tasks(self) -> None:
        airflow = FakePools()
        (state,) = set_up_pools([gpus()], airflow)
        assert (state.state, state.found, state.ok) == ("created", None, True)
        assert airflow.pools() == {"gpus": AirflowPool("gpus", 2, include_deferred=True)}
        assert airflow.descriptions == {"gpus": "for tests"}

    @pytest.mark.parametrize(
        "found",
        [AirflowPool("gpus", 1, include_deferred=True), AirflowPool("gpus", 2, include_deferred=False)],
    )
    def test_what_is_different_is_changed(self, found: AirflowPool) -> None:
        airflow = FakePools(found)
        (state,) = set_up_pools([gpus()], airflow)
        assert (state.state, state.found) == ("updated", found)
        assert airflow.pools()["gpus"] == AirflowPool("gpus", 2, include_deferred=True)

    def test_a_pool_of_somebody_elses_is_left_alone(self) -> None:
        found = AirflowPool("default_pool", 128, include_deferred=False)
        airflow = FakePools(found)
        (state,) = set_up_pools([gpus(None, "default_pool")], airflow)
        assert (state.state, state.found, airflow.changes) == ("unchanged", found, 0)

    def test_nothing_is_made_unless_all_can_be(self) -> None:
        airflow = FakePools()
        with pytest.raises(ConfigurationError, match=r"pool 'small' does not exist.*Set gpu_pool_slots"):
            set_up_pools([gpus(), gpus(None, "small")], airflow)
        assert airflow.changes == 0

    def test_a_pool_that_somebody_makes_meanwhile_is_brought_to_its_size(self) -> None:
        airflow = FakePools(appears=AirflowPool("gpus", 9, include_deferred=False))
        (state,) = set_up_pools([gpus()], airflow)
        assert state.state == "updated"
        assert airflow.pools()["gpus"] == AirflowPool("gpus", 2, include_deferred=True)

    def test_a_conflict_over_a_pool_that_cannot_be_seen_is_an_error(self) -> None:
        with pytest.raises(AirflowApiError, match="conflict"):
            set_up_pools([gpus()], FakePools(always_conflicts=True))

    def test_another_refusal_is_an_error(self) -> None:
        with pytest.raises(AirflowApiError, match="forbidden"):
            set_up_pools([gpus()], FakePools(forbids=True))


POOLS = st.builds(
    AirflowPool, st.sampled_from(["a", "b", "c"]), st.integers(-1, 5), include_deferred=st.booleans()
)


@given(st.lists(POOLS), st.integers(1, 5), st.integers(1, 5))
def test_setting_up_again_changes_nothing(found: list[AirflowPool], cpu: int, gpu: int) -> None:
    airflow = FakePools(*found)
    wanted = wanted_pools(read_options(cpu_pool="a", cpu_pool_slots=cpu, gpu_pool="b", gpu_pool_slots=gpu))
    before = airflow.pools()
    assert all(state.ok for state in set_up_pools(wanted, airflow))
    changes = airflow.changes
    assert {state.state for state in set_up_pools(wanted, airflow)} == {"unchanged"}
    assert {state.state for state in compare_pools(wanted, airflow.pools())} == {"unchanged"}
    assert airflow.changes == changes
    assert {name: pool for name, pool in before.items() if name == "c"} == {
        name: pool for name, pool in airflow.pools().items() if name == "c"
    }, "pools of others stay as they are"
