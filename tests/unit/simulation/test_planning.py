from __future__ import annotations

import pytest
from simulated import calibration, step

from airflow_provider_aiopt.exceptions import SimulationError
from airflow_provider_aiopt.simulation.arrivals import Batching, Load
from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.planning import Plan, Search, plan
from airflow_provider_aiopt.simulation.prediction import Prices
from airflow_provider_aiopt.simulation.service import Calibration, constant
from airflow_provider_aiopt.simulation.steady import Horizon

SHORT = Horizon(measured_s=120.0, warm_up_s=30.0, repetitions=2)
WINDOW = Batching(window_s=1.0, max_batch=1000, event_s=0.0)
MACHINE = Configuration(cores=2)


def known(**fields: object) -> Calibration:
    usual = {"mapped": True, "start_up_cpu_s": constant(0.2), "cpu_s_per_item": 0.1, "width": 2.0}
    return calibration(step(**(usual | fields)))


def planned(per_s: float, goal_s: float = 10.0, *, search: Search | None = None, **options: object) -> Plan:
    found = search or Search(MACHINE, batching=WINDOW)
    return plan(known(), Load(per_s), goal_s, found, horizon=SHORT, **options)  # type: ignore[arg-type]


def test_it_finds_the_fewest_machines_that_keep_up() -> None:
    # 50 records/s of 0.1 s need 5 cores, and their tasks' starts a part of one more.
    found = planned(50.0)

    assert found.best.configuration.machines == 3
    assert found.best.p95_s.high <= 10.0
    assert found.margin_s == pytest.approx(10.0 - found.best.p95_s.high)
    [less] = [variant for variant in found.less if variant.change == "one machine less"]
    assert not less.service.meets(10.0)
    assert found.tried > 3


def test_what_is_given_is_left() -> None:
    base = MACHINE.model_copy(update={"machines": 4, "workers": 3, "shards": 5})
    search = Search(base, frozenset({"machines", "workers", "shards"}), WINDOW)

    found = planned(20.0, search=search).best.configuration

    assert (found.machines, found.workers, found.shards) == (4, 3, 5)


def test_the_window_is_a_part_of_the_goal_where_none_is_given() -> None:
    found = planned(10.0, 20.0, search=Search(MACHINE))

    assert found.best.batching.window_s in {2.0, 4.0, 7.0}


def test_the_load_that_it_bears_is_tried() -> None:
    assert planned(5.0).growth >= 2.0


def test_dear_gpus_are_spared_and_cheap_ones_are_not() -> None:
    # 0.1 s on a GPU for each record: two GPUs keep up with 12 records/s, one does not.
    measured = known(cpu_s_per_item=0.001, wait_s_per_item=0.1, gpu_share=0.9)
    base = MACHINE.model_copy(update={"gpus": 1, "shards": 4})
    search = Search(base, frozenset({"workers", "shards", "active_runs"}), WINDOW)

    found = plan(measured, Load(12.0), 20.0, search, prices=Prices(1.0, 10.0), horizon=SHORT)

    assert found.best.configuration.gpus == 2
    assert found.cost_per_hour == found.best.configuration.machines + 20.0


def test_a_goal_that_no_size_meets() -> None:
    with pytest.raises(SimulationError, match=r"within 0\.1 s; the nearest takes .* own time bounds it"):
        planned(1.0, 0.1, search=Search(MACHINE, batching=WINDOW, most_machines=2))


def test_a_load_that_no_size_keeps_up_with() -> None:
    search = Search(MACHINE, frozenset({"machines"}), WINDOW)

    with pytest.raises(SimulationError, match="keeps up with 1e\\+03 records/s"):
        planned(1000.0, search=search)
