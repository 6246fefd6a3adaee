from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated import calibration, step

from airflow_provider_aiopt.simulation.estimates import Estimate
from benchmarks.simulation.__main__ import write
from benchmarks.simulation.configurations import CALIBRATION, CASES, QUICK, SINGLE, Case
from benchmarks.simulation.figures import Row, checks, prediction


def row(predicted: float, *measured: float) -> Row:
    return Row(CASES[0], Estimate(predicted, predicted, predicted), measured)


def test_service_times_come_from_no_configuration_that_is_predicted() -> None:
    assert not set(CALIBRATION) & set(CASES)
    assert len({case.name for case in CASES}) == len(CASES) >= 12
    assert set(QUICK) <= set(CASES)


def test_shards_active_runs_slots_and_workers_are_all_varied() -> None:
    for values in (
        {case.shards for case in CASES},
        {case.airflow.active_runs for case in CASES},
        {case.airflow.parallelism for case in CASES},
        {case.pool_slots for case in CASES},
        {case.mode for case in CASES},
    ):
        assert len(values) >= 2


def test_the_error_is_that_against_the_median_measurement() -> None:
    assert row(9.0, 10.0, 30.0, 8.0).error == pytest.approx(0.1)


def test_errors_beside_their_targets() -> None:
    found = checks([row(10.0, 10.0), row(10.5, 10.0), row(14.0, 10.0)])

    assert [(check.value, check.met) for check in found] == [
        (pytest.approx(0.05), True),
        (pytest.approx(0.4), False),
    ]


def test_a_case_is_predicted_from_the_pipeline_alone() -> None:
    known = calibration(step(mapped=True, cpu_s_per_item=0.01))
    case = Case("staged", SINGLE, shards=2, runs=3)

    # Three runs of 100 records, one task at a time; the runs' creation takes less.
    assert prediction(known, case, 100, 0.1).mean == pytest.approx(3.0)


def test_the_file_has_a_row_for_each_configuration(tmp_path: Path) -> None:
    write([row(9.0, 10.0)], {"staged": calibration(step())}, {"images": 7}, tmp_path)

    [found] = json.loads((tmp_path / "simulation.json").read_text())
    assert (found["configuration"], found["predicted_s"], found["measured_s"]) == (CASES[0].name, 9.0, 10.0)
    assert found["images"] == 7
    assert (tmp_path / "simulation_staged.json").exists()
