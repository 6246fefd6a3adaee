from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.telemetry.advice import largest_part
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


@pytest.mark.parametrize(
    ("report", "name", "remedy"),
    [
        ({"wait_input_s": 8}, "reading", "source.readers"),
        ({"wait_output_s": 8}, "writing", "work folder"),
        ({"model_load_s": 8}, "loading its model", "larger shards"),
        ({}, "computing", "more cores"),
    ],
)
def test_the_largest_part_of_a_stage_is_named(report: dict[str, Any], name: str, remedy: str) -> None:
    (stage,) = build_run_report([make_stage_report("inference", wall_s=10, **report)]).stages
    part = largest_part(stage)
    assert part.name == name
    assert part.share == pytest.approx(1.0 if name == "computing" else 0.8)
    assert remedy in part.remedy
