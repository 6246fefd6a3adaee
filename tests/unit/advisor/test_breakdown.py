from __future__ import annotations

import pytest
from advisor_reports import SICK, WELL, in_airflow, run, streamed

from airflow_provider_aiopt.advisor.breakdown import time_shares
from airflow_provider_aiopt.advisor.facts import Facts


@pytest.mark.parametrize("make", [*SICK.values(), *WELL.values()], ids=[*SICK, *WELL])
def test_shares_are_parts_of_the_run_the_largest_first(make: object) -> None:
    shares = time_shares(Facts(make()))
    assert all(0 < part <= 1 for part in shares.values())
    assert sum(shares.values()) <= 1.0001
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_each_second_of_stages_in_turn_counts_once() -> None:
    report = run(preprocess={"wait_output_s": 4.0}, inference={"model_load_s": 3.0})
    shares = time_shares(Facts(report))
    assert shares["storage"] == pytest.approx(4 / 21.5)
    assert shares["preprocessing"] == pytest.approx(6 / 21.5)
    assert shares["inference"] == pytest.approx(7 / 21.5)
    assert shares["postprocessing"] == pytest.approx(0.5 / 21.5)
    assert shares["startup"] == pytest.approx((3 + 1) / 21.5)  # ingestion's own thread imports and lists
    assert sum(shares.values()) == pytest.approx(1)


def test_in_airflow_waits_and_starts_count_as_well() -> None:
    shares = time_shares(Facts(in_airflow(gap_s=2.0, start_up_s=1.0)))
    whole = 21.5 + 3 * 2 + 4 * 1
    assert shares["scheduling"] == pytest.approx(6 / whole)
    assert shares["startup"] == pytest.approx((4 + 1) / whole)
    assert "queueing" not in shares


def test_of_stages_side_by_side_their_work_counts() -> None:
    shares = time_shares(Facts(streamed()))
    assert shares["inference"] == pytest.approx(0.5)
    assert shares["preprocessing"] == pytest.approx(0.4)
    assert shares["storage"] == pytest.approx(0.05)
