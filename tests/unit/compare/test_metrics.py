from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_aiopt.compare.metrics import common_metrics, metric_named, run_metrics
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

MakeRun = Callable[..., RunReport]


def test_a_run_has_its_stages(make_run: MakeRun) -> None:
    found = run_metrics(make_run(2.0, records=50))
    assert found["wall"] == pytest.approx(2.3)
    assert found["items_per_s"] == pytest.approx(50 / 2.3)
    assert (found["inference"], found["inference.busy"], found["inference.items_per_s"]) == (2, 2, 25)
    assert "shard_p95" not in found
    assert "inference.p95" not in found


def test_shards_with_tasks_of_their_own_have_percentiles() -> None:
    reports = [
        make_stage_report(stage, shard=f"{shard:05d}", start=start, wall_s=shard + 1)
        for shard in range(21)
        for stage, start in (("preprocess", 0.0), ("inference", 100.0))
    ]
    found = run_metrics(build_run_report(reports))
    assert found["inference.p95"] == 20
    assert found["shard_p95"] == 40  # both stages, and not what lies between them


def test_stages_of_a_shard_that_overlap_count_once() -> None:
    reports = [
        make_stage_report(stage, shard=str(shard), start=start, wall_s=2)
        for shard in range(2)
        for stage, start in (("preprocess", 0.0), ("inference", 1.0))
    ]
    assert run_metrics(build_run_report(reports))["shard_p95"] == 3


@pytest.mark.parametrize(
    ("name", "lower"),
    [("wall", True), ("inference.busy", True), ("items_per_s", False), ("x.items_per_s", False)],
)
def test_times_are_better_where_they_are_lower(name: str, lower: bool) -> None:
    assert metric_named(name).lower_is_better is lower


def test_what_all_runs_have() -> None:
    runs = [{"wall": 1.0, "a": 1.0, "b": 2.0, "c": 1.0}, {"wall": 2.0, "a": 0.0, "b": 1.0}]
    assert common_metrics(runs, "b") == ("b", "wall")
    with pytest.raises(ComparisonError, match=r"'a', above zero. Those that all have are: wall, b"):
        common_metrics(runs, "a")
