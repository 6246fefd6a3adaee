from __future__ import annotations

import pytest
from simulated import ABUNDANT, EXPONENTIAL, calibration, step

from airflow_provider_aiopt.simulation.arrivals import Batching, Load
from airflow_provider_aiopt.simulation.service import constant
from airflow_provider_aiopt.simulation.steady import Horizon, serve

SHORT = Horizon(measured_s=300.0, warm_up_s=50.0, repetitions=2)
AT_ONCE = Batching(window_s=0.0, max_batch=1, event_s=0.0)


def test_an_idle_system_takes_its_own_time() -> None:
    known = calibration(step(start_up_cpu_s=constant(0.5)))
    batching = Batching(window_s=2.0, max_batch=1000, event_s=0.25)

    found = serve(known, ABUNDANT, Load(10.0, "constant"), batching, SHORT)

    # The first upload of a run waits for the whole window, the last one hardly.
    assert found.p99_s.mean == pytest.approx(2.75, abs=0.1)
    assert found.p50_s.mean == pytest.approx(1.75, abs=0.1)
    assert not found.growing
    assert found.runs_per_hour == pytest.approx(3600 / 2.1, rel=0.02)
    assert found.core_share == pytest.approx(0.5 / 2.1, rel=0.05)


def test_a_queue_in_steady_state_has_the_quantiles_of_its_theory() -> None:
    # M/M/1: the time in the system is exponential with mean 1 / (mu - lambda).
    known = calibration(step(cpu_s_per_item=0.1, variation=EXPONENTIAL))
    one = ABUNDANT.model_copy(update={"workers": 1})

    found = serve(known, one, Load(5.0), AT_ONCE, Horizon(800.0, 100.0, repetitions=3))

    assert found.p50_s.mean == pytest.approx(0.693 / 5, rel=0.15)
    assert found.p95_s.mean == pytest.approx(2.996 / 5, rel=0.15)
    assert found.worker_share == pytest.approx(0.5, rel=0.05)


def test_a_backlog_that_grows_is_told() -> None:
    known = calibration(step(cpu_s_per_item=0.3))

    found = serve(known, ABUNDANT.model_copy(update={"workers": 1}), Load(5.0), AT_ONCE, SHORT)

    assert found.growing
    assert not found.meets(1e9)


def test_nothing_that_ends_in_time_is_a_backlog_too() -> None:
    known = calibration(step(start_up_cpu_s=constant(1e6)))

    assert serve(known, ABUNDANT, Load(1.0), AT_ONCE, SHORT).growing


def test_times_of_real_uploads_are_repeated() -> None:
    known = calibration(step(start_up_cpu_s=constant(0.5), gpu_share=1.0))

    found = serve(known, ABUNDANT.model_copy(update={"gpus": 2}), [0.0, 1.0, 4.0], AT_ONCE, SHORT)

    # Three in six seconds: the next round begins after the mean gap.
    assert found.runs_per_hour == pytest.approx(1800, rel=0.02)
    assert found.p95_s.mean == pytest.approx(0.5)
    assert found.gpu_share == pytest.approx(0.0)


def test_a_goal_is_met_at_the_upper_end_of_the_interval() -> None:
    known = calibration(step(cpu_s_per_item=0.1, variation=EXPONENTIAL))

    found = serve(known, ABUNDANT.model_copy(update={"workers": 1}), Load(5.0), AT_ONCE, SHORT)

    assert found.meets(found.p95_s.high)
    assert not found.meets(found.p95_s.mean)


def test_a_large_load_is_simulated_by_fewer_arrivals() -> None:
    known = calibration(step(cpu_s_per_item=1e-5))
    batching = Batching(window_s=2.0, max_batch=100_000, event_s=0.0)

    found = serve(known, ABUNDANT, Load(10_000.0), batching, SHORT)

    # 20,000 records of 10 us in each run, on one core.
    assert found.core_share == pytest.approx(0.1, rel=0.03)
    assert found.p50_s.mean == pytest.approx(1.0 + 0.2, rel=0.05)
