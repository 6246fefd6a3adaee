from __future__ import annotations

import json

from airflow_provider_aiopt.telemetry.run_digest import MAX_BYTES, run_digest
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report
from airflow_provider_aiopt.telemetry.timings import Advice


def test_numbers_have_their_units_in_their_names() -> None:
    report = build_run_report(
        [
            make_stage_report("ingest", wall_s=1, items_in=10, items_out=10),
            make_stage_report(
                "inference",
                start=1,
                wall_s=3.00004,
                wait_input_s=0.5,
                model_load_s=1,
                items_out=10,
                peak_memory_bytes=300 * 2**20,
                cpu_utilisation=0.87654,
            ),
        ]
    )
    found = run_digest(report, [Advice(title="inference takes 75 %", text="Use a GPU.")])
    assert (found["pipeline"], found["wall_s"], found["bottleneck"]) == ("pipeline", 4.0, "inference")
    assert found["advice"] == ["inference takes 75 %. Use a GPU."]
    assert found["stages"]["inference"] == {
        "duration_s": 3.0,
        "share": 0.75,
        "tasks": 1,
        "items": 10,
        "items_per_s": 3.333,
        "quarantined": 0,
        "computing_s": 1.5,
        "model_load_s": 1.0,
        "wait_input_s": 0.5,
        "wait_output_s": 0.0,
        "cpu_utilisation": 0.8765,
        "peak_memory_mib": 300,
    }


def test_of_very_many_stages_the_longest_stay() -> None:
    reports = [make_stage_report(f"stage-{n:03}", start=n, wall_s=n + 1) for n in range(200)]
    found = run_digest(build_run_report(reports))
    assert len(json.dumps(found)) < MAX_BYTES
    assert 5 < len(found["stages"]) < 200
    assert "stage-199" in found["stages"]


def test_names_of_any_length_fit() -> None:
    reports = [make_stage_report(f"{n}" * 5000, pipeline="p" * 9000) for n in range(1, 4)]
    assert len(json.dumps(run_digest(build_run_report(reports)))) < MAX_BYTES
