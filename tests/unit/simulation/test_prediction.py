from __future__ import annotations

import pytest
from simulated import ABUNDANT, INSTANT, calibration, step

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.prediction import Prices, predict
from airflow_provider_aiopt.simulation.service import Calibration, Empirical, constant


def known(**fields: object) -> Calibration:
    usual = {"mapped": True, "cpu_s_per_item": 0.1}
    return calibration(step(**(usual | fields)))


def limits(**values: int) -> Configuration:
    return ABUNDANT.model_copy(update={"shards": 4, "cores": 4, **values})


def test_what_a_prediction_says() -> None:
    found = predict(known(), limits(workers=2), runs=2, items=40, repetitions=3)

    # Eight tasks of a second on two workers.
    assert found.makespan_s.mean == pytest.approx(4.0)
    assert found.makespan_s.low == pytest.approx(found.makespan_s.high)
    assert (found.queue_p50_s, found.queue_p95_s, found.queue_max_s) == pytest.approx((1.0, 3.0, 3.0))
    assert found.worker_share == pytest.approx(1.0)
    assert found.core_share == pytest.approx(0.5)
    assert found.gpu_share is None


@pytest.mark.parametrize(
    ("configuration", "name", "gain"),
    [
        (limits(workers=1), "workers", 2.0),
        (limits(cores=2), "cores", 2.0),
        (limits(pool_slots=2), "pool slots", 2.0),
        (limits(active_tasks=2), "active tasks", 2.0),
        (limits(gpus=1), "GPUs", 2.0),
        (limits(), "steps", 1.0),
    ],
)
def test_what_holds_a_run_up(configuration: Configuration, name: str, gain: float) -> None:
    limit = predict(known(), configuration, items=40, repetitions=1).limit

    assert limit is not None
    assert (limit.name, limit.gain) == (name, pytest.approx(gain))


def test_runs_hold_each_other_up() -> None:
    configuration = limits(active_runs=1, shards=1)

    limit = predict(known(), configuration, runs=4, items=10, repetitions=1).limit

    assert limit is not None
    assert limit.name == "active runs"


def test_the_cost_is_that_of_all_machines_for_the_makespan() -> None:
    prices = Prices(machine_hour=3.6, gpu_hour=36.0)

    found = predict(
        known(gpu_share=0.5),
        limits(machines=2, gpus=1),
        items=10,
        repetitions=2,
        prices=prices,
        explain=False,
    )

    assert found.makespan_s.mean == pytest.approx(1.0)
    assert found.cost == pytest.approx((2 * 3.6 + 36.0) / 3600)
    assert found.gpu_share == pytest.approx(0.5)
    assert found.limit is None


def test_records_are_as_many_as_measured_unless_it_is_said() -> None:
    assert predict(known(), limits(), repetitions=1, explain=False).items == 100


def test_chance_widens_the_interval_and_the_seed_fixes_it() -> None:
    varied = known(variation=Empirical(values=(0.5, 0.7, 0.9, 1.1, 1.3, 1.5)))

    one, again, other = (
        predict(varied, limits(), repetitions=8, seed=seed, explain=False) for seed in (1, 1, 2)
    )

    assert one == again != other
    assert one.makespan_s.low < one.makespan_s.mean < one.makespan_s.high


def test_what_no_resource_helps_with_is_the_steps_own() -> None:
    slow = calibration(
        step(cpu_s_per_item=0.001), airflow=INSTANT.model_copy(update={"loop_s": constant(9.0)})
    )

    limit = predict(slow, limits(), repetitions=1).limit

    assert limit is not None
    assert limit.name == "steps"
