from __future__ import annotations

import builtins
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import ABUNDANT, INSTANT, calibration, step

from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.engine import simulate
from airflow_provider_aiopt.simulation.service import Calibration, Empirical, constant
from airflow_provider_aiopt.simulation.trace import Arrival, Trace

SOME_S = st.floats(0.0, 5.0).map(lambda value: round(value, 3))


@st.composite
def pipelines(draw: st.DrawFn) -> Calibration:
    def drawn() -> Empirical:
        return Empirical(values=tuple(draw(st.lists(SOME_S, min_size=1, max_size=3))))

    steps = [
        step(
            f"step {number}",
            mapped=draw(st.booleans()),
            model=draw(st.booleans()),
            start_up_cpu_s=drawn(),
            setup_cpu_s=drawn(),
            cpu_s_per_item=draw(SOME_S) / 10,
            wait_s_per_item=draw(SOME_S) / 100,
            ending_cpu_s=drawn(),
            width=draw(st.floats(0.5, 4.0)),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    airflow = INSTANT.model_copy(update={"run_start_s": drawn(), "loop_s": drawn(), "hand_over_s": drawn()})
    return calibration(
        *steps, airflow=airflow, services=draw(st.floats(0.0, 1.0)), neighbours=draw(st.floats(0.0, 3.0))
    )


configurations = st.builds(
    Configuration,
    shards=st.integers(1, 5),
    machines=st.integers(1, 3),
    workers=st.integers(1, 4),
    cores=st.integers(1, 4),
    active_runs=st.integers(1, 3),
    active_tasks=st.integers(1, 4),
    pool_slots=st.integers(1, 3),
    cpu_pool_slots=st.integers(1, 3),
)
loads = st.lists(st.builds(Arrival, SOME_S, st.integers(1, 50)), min_size=1, max_size=5).map(
    lambda found: sorted(found, key=lambda arrival: arrival.at_s)
)


def most_at_once(spans: list[tuple[float, float]]) -> int:
    # Rounding: what begins at the moment at which another ends is not beside it.
    moments = sorted([(start + 1e-9, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


@settings(max_examples=40, deadline=None)
@given(pipelines(), configurations, loads)
def test_no_limit_is_passed_and_no_record_lost(
    known: Calibration, configuration: Configuration, arrivals: list[Arrival]
) -> None:
    trace = simulate(known, configuration, arrivals)

    spans = [(task.started_s, task.ended_s) for task in trace.tasks]
    slots = configuration.machines * configuration.workers
    assert most_at_once(spans) <= slots
    for model, pool in ((True, configuration.pool_slots), (False, configuration.cpu_pool_slots)):
        steps = {number for number, found in enumerate(known.steps) if found.model is model}
        used = [(task.started_s, task.ended_s) for task in trace.tasks if task.step in steps]
        assert most_at_once(used) <= pool
    assert most_at_once([(run.begun_s, run.ended_s) for run in trace.runs]) <= configuration.active_runs
    assert sum(trace.cpu_busy_s) <= configuration.machines * configuration.cores * trace.until_s * (1 + 1e-9)
    records: Counter[tuple[int, int]] = Counter()
    for task in trace.tasks:
        records[task.run, task.step] += task.items
    for number, run in enumerate(trace.runs):
        assert run.created_s <= run.begun_s <= run.ended_s < float("inf")
        assert all(records[number, step] == pytest.approx(run.items) for step in range(len(known.steps)))


@settings(max_examples=40, deadline=None)
@given(pipelines(), configurations, loads)
def test_cores_do_exactly_the_work_of_the_tasks(
    known: Calibration, configuration: Configuration, arrivals: list[Arrival]
) -> None:
    shared, alone = (simulate(known, configuration, arrivals, sharing=sharing) for sharing in (True, False))

    assert sum(shared.cpu_busy_s) == pytest.approx(sum(alone.cpu_busy_s), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(pipelines(), configurations, st.integers(1, 50))
def test_more_workers_never_slow_a_run_that_shares_no_cores(
    known: Calibration, configuration: Configuration, items: int
) -> None:
    more = configuration.model_copy(update={"workers": configuration.workers + 1})

    few, many = (
        simulate(known, one, [Arrival(0.0, items)], sharing=False).makespan_s for one in (configuration, more)
    )

    assert many <= few + 1e-6


def chain() -> Calibration:
    airflow = INSTANT.model_copy(update={"run_start_s": constant(1.0), "loop_s": constant(0.5)})
    return calibration(
        step("first", model=False, start_up_cpu_s=constant(2.0)),
        step("second", mapped=True, cpu_s_per_item=1.0, setup_cpu_s=constant(3.0)),
        airflow=airflow,
    )


def test_a_run_is_the_sum_of_its_parts() -> None:
    trace = simulate(chain(), ABUNDANT, [Arrival(10.0, 4)])

    first, second = trace.tasks
    assert (first.started_s, first.ended_s) == (11.0, 13.0)
    assert (second.ready_s, second.started_s, second.ended_s) == (13.5, 13.5, 20.5)
    assert trace.runs[0].ended_s == 21.0
    assert trace.makespan_s == 11.0


def test_a_step_waits_for_all_shards_of_the_one_before() -> None:
    known = calibration(step("read", mapped=True, cpu_s_per_item=1.0), step("write"))
    configuration = ABUNDANT.model_copy(update={"shards": 4, "workers": 2})

    *reads, write = simulate(known, configuration, [Arrival(0.0, 8)], sharing=False).tasks

    assert [task.started_s for task in reads] == [0.0, 0.0, 2.0, 2.0]
    assert write.started_s == 4.0


def test_a_run_has_no_more_shards_than_records() -> None:
    known = calibration(step(mapped=True, setup_cpu_s=constant(1.0)))
    configuration = ABUNDANT.model_copy(update={"shards": 8})

    assert len(simulate(known, configuration, [Arrival(0.0, 3)]).tasks) == 3


def test_runs_wait_for_one_another() -> None:
    configuration = ABUNDANT.model_copy(update={"active_runs": 1})

    trace = simulate(chain(), configuration, [Arrival(0.0, 1), Arrival(0.0, 1)])

    assert trace.runs[0].ended_s + 0.5 == trace.runs[1].begun_s


def test_the_executor_starts_tasks_one_after_the_other() -> None:
    airflow = INSTANT.model_copy(update={"hand_over_s": constant(1.0), "launch_s": 0.25})
    known = calibration(step(mapped=True, cpu_s_per_item=1.0), airflow=airflow)
    configuration = ABUNDANT.model_copy(update={"shards": 4})

    starts = [task.started_s for task in simulate(known, configuration, [Arrival(0.0, 4)]).tasks]

    assert starts[0] == 1.0
    assert [later - earlier for earlier, later in pairwise(starts)] == [0.25] * 3


def test_gpus_bound_the_tasks_that_run_the_model() -> None:
    known = calibration(step(mapped=True, wait_s_per_item=1.0, gpu_share=0.8))
    configuration = ABUNDANT.model_copy(update={"shards": 4, "gpus": 2})

    trace = simulate(known, configuration, [Arrival(0.0, 4)])

    assert trace.makespan_s == 2.0
    assert sum(task.gpu_busy_s for task in trace.tasks) == pytest.approx(3.2)


def test_neighbours_take_their_part_of_the_cores() -> None:
    known = calibration(step(cpu_s_per_item=1.0), neighbours=1.0)

    assert simulate(known, ABUNDANT, [Arrival(0.0, 3)]).makespan_s == pytest.approx(6.0)


def test_a_seed_says_it_all() -> None:
    known = calibration(step(cpu_s_per_item=1.0, variation=Empirical(values=(0.5, 0.8, 1.1, 1.6))))
    configuration = ABUNDANT.model_copy(update={"shards": 4})

    def run(seed: int) -> Trace:
        return simulate(known, configuration, [Arrival(0.0, 8)] * 3, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_it_stops_where_it_is_told_to() -> None:
    trace = simulate(chain(), ABUNDANT, [Arrival(0.0, 100)], until_s=50.0)

    assert trace.until_s == 50.0
    assert trace.runs[0].ended_s == float("inf")


def test_without_simpy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "simpy":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[simulation\]"):
        simulate(chain(), ABUNDANT, [Arrival(0.0, 1)])
