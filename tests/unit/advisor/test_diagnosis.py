from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from advisor_reports import SICK, WELL, run, streamed
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.models import Diagnosis
from airflow_provider_aiopt.advisor.rules import RULES
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH

KINDS = {rule.name: rule.kind for rule in RULES}


@pytest.mark.parametrize("name", [name for name in SICK if KINDS[name] == "setting"])
def test_the_planted_cause_comes_first(name: str) -> None:
    diagnosis = diagnose(SICK[name]())
    assert diagnosis.recommendations[0].rule == name
    assert diagnosis.limit == name.partition(".")[0]


@pytest.mark.parametrize("name", SICK)
def test_recommendations_are_ranked(name: str) -> None:
    ranks = [advice.rank for advice in diagnose(SICK[name]()).recommendations]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("well", WELL)
def test_where_all_is_well_no_setting_is_changed(well: str) -> None:
    diagnosis = diagnose(WELL[well]())
    assert [advice.rule for advice in diagnosis.recommendations if advice.kind == "setting"] == []
    assert diagnosis.limit == next(iter(diagnosis.shares))


def test_a_report_without_evidence_is_judged_by_its_times() -> None:
    report = run()
    bare = report.model_copy(
        update={"tasks": tuple(task.model_copy(update={"evidence": None}) for task in report.tasks)}
    )
    diagnosis = diagnose(bare)
    assert diagnosis.limit in {"preprocessing", "inference"}


def test_a_diagnosis_survives_json() -> None:
    diagnosis = diagnose(SICK["storage.readers"]())
    assert Diagnosis.model_validate_json(diagnosis.model_dump_json()) == diagnosis


seconds = st.floats(0, 1e4, allow_nan=False)
counts = st.integers(0, 10**6)


@st.composite
def _stages(draw: st.DrawFn) -> dict[str, Any]:
    wall_s = draw(st.floats(1e-6, 1e4))
    waits = wall_s * draw(st.floats(0, 1))
    wait_input = waits * draw(st.floats(0, 1))
    return {
        "wall_s": wall_s,
        "wait_input_s": wait_input,
        "wait_output_s": waits - wait_input,
        "cpu_s": draw(seconds),
        "own": draw(st.floats(0, 4)),
        "others": draw(st.floats(0, 4)),
        "model_load_s": 0.0,
        "cache_hits": draw(counts),
        "cache_misses": draw(counts),
        "items_in": draw(counts),
        "batch_sizes": {draw(st.integers(1, 64)): draw(counts)},
        "settings": {
            "execution.workers": draw(st.integers(1, 64)),
            "execution.batch_size": draw(st.sampled_from([1, 8, 32, "auto"])),
            "execution.shards": draw(st.integers(1, 1000)),
            "source.readers": draw(st.integers(1, 64)),
            "model.threads": draw(st.integers(1, 64)),
            "preprocess.kind": draw(st.sampled_from(["image", "custom"])),
            "postprocess.top_k": draw(st.integers(1, 1000)),
        },
        "evidence": {
            "setup_s": draw(seconds),
            "user_s": draw(seconds),
            "reads": draw(counts),
            "read_s": draw(seconds),
            "write_s": draw(seconds),
            "commits": draw(counts),
            "commit_s": draw(seconds),
            "calls": draw(counts),
            "call_s": draw(seconds),
            "columns": draw(
                st.sampled_from([(), ({"name": "x", "dtype": "float64", "row_bytes": 8, "holds": "uint8"},)])
            ),
        },
        "details": draw(
            st.sampled_from(
                [{}, {"threads": 3}, {"threads": 2, "device_busy": 0.5, "normalisation": "host: x"}]
            )
        ),
    }


@settings(max_examples=60, deadline=None)
@given(stages=st.tuples(_stages(), _stages(), _stages(), _stages()))
def test_gains_are_finite_and_no_less_than_one_whatever_a_report_says(stages: Any) -> None:
    names = ("ingest", "preprocess", "inference", "postprocess")
    diagnosis = diagnose(run(**dict(zip(names, stages, strict=True))))
    for advice in diagnosis.recommendations:
        assert advice.gain >= 1
        assert math.isfinite(advice.gain)
        assert 0 <= advice.saved_s <= diagnosis.elapsed_s
    assert all(0 <= part <= 1 for part in diagnosis.shares.values())


@pytest.mark.parametrize("value", [0, -1, math.inf, 10**300])
def test_values_that_no_run_has_do_no_harm(value: Any) -> None:
    absurd = {
        "settings": dict.fromkeys(("execution.workers", "source.readers", "model.threads"), value),
        "details": {"threads": value, "device_busy": value},
        "cpu_s": abs(value),
    }
    diagnosis = diagnose(run(ingest=absurd, preprocess=absurd, inference=absurd))
    assert all(math.isfinite(advice.gain) for advice in diagnosis.recommendations)


@pytest.mark.parametrize("make", SICK.values(), ids=SICK)
def test_a_run_of_no_time_at_all_is_judged(make: Callable[[], RunReport]) -> None:
    nothing = {"wall_s": 0.0, "busy_s": 0.0, "wait_input_s": 0.0, "wait_output_s": 0.0, "model_load_s": 0.0}
    report = make()
    tasks = tuple(task.model_copy(update={**nothing, "ended_at": task.started_at}) for task in report.tasks)
    at_once = [task.model_copy(update={"started_at": EPOCH, "ended_at": EPOCH}) for task in tasks]
    diagnosis = diagnose(build_run_report(at_once))
    assert (diagnosis.elapsed_s, diagnosis.recommendations) == (0, ())


def test_a_streamed_run_that_waits_for_its_source_is_bound_by_storage() -> None:
    reading = {"busy_s": 9.5, "cpu_s": 0.2, "evidence": {"reads": 640, "read_s": 37.0}}
    diagnosis = diagnose(streamed(ingest=reading, preprocess={"busy_s": 1.0}, inference={"busy_s": 1.0}))
    assert diagnosis.recommendations[0].rule == "storage.readers"
