from __future__ import annotations

import pytest
from pydantic import ValidationError
from simulated import calibration, step

from airflow_provider_aiopt.simulation.configuration import Configuration, grid, measured_configuration


def test_a_grid_has_every_combination() -> None:
    found = grid(Configuration(cores=4), {"workers": [1, 2], "shards": [8, 16]})

    assert [(item.workers, item.shards) for item in found] == [(1, 8), (1, 16), (2, 8), (2, 16)]
    assert {item.cores for item in found} == {4}


def test_a_grid_of_nothing_is_what_was_there() -> None:
    assert grid(Configuration(), {}) == (Configuration(),)


def test_values_are_checked() -> None:
    with pytest.raises(ValidationError, match="workers"):
        grid(Configuration(), {"workers": [0]})


def test_where_nothing_is_said_it_is_as_measured() -> None:
    found = measured_configuration(calibration(step(), cores=8, shards=3))

    assert (found.cores, found.shards, found.machines, found.gpus) == (8, 3, 1, 0)


def test_a_label_has_the_names_of_the_command_line() -> None:
    assert Configuration(active_runs=2).label(["active_runs", "shards"]) == "active-runs 2, shards 1"
