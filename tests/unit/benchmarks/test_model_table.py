from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.optimize.comparison import ComparedModel, Latency, ModelComparison
from benchmarks.model_table import Subject, checks, values


def _found(int8_bytes: int, faults: tuple[str, ...] = (), device: str = "cpu") -> dict[str, Any]:
    def model(precision: str, size: int, beyond: tuple[str, ...]) -> ComparedModel:
        latency = {1: Latency(0.1, 0.2, 5, 10.0)}
        return ComparedModel("f", "tiny", precision, "0" * 64, size, "onnxruntime", latency, None, beyond)

    compared = (model("fp32", 400, ()), model("int8", int8_bytes, faults), model("fp32", 390, ("x",)))
    forms = {name: (Path(name), 1.23) for name in ("FP32", "INT8", "2 % of channels removed")}
    subject = Subject("Tiny", "tiny", Path("c"), Path("e"), zeros=0.2, channels=0.02)
    return values(subject, device, ModelComparison(compared, "ten crops", 10), forms)


def test_a_comparison_keeps_its_forms_names_and_how_long_they_took_to_make() -> None:
    found = _found(100)
    assert (found["model"], found["device"], found["records"]) == ("Tiny", "cpu", 10)
    assert [form["form"] for form in found["forms"]] == ["FP32", "INT8", "2 % of channels removed"]
    assert found["forms"][1]["made_in_s"] == 1.2


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (_found(100), [True]),
        (_found(150), [False]),
        (_found(100, ("--min-agreement",)), [True]),  # what the gate says is a finding
        (_found(150, device="cuda"), []),
    ],
    ids=["good", "large", "beyond", "gpu"],
)
def test_int8_must_be_small(found: dict[str, Any], met: list[bool]) -> None:
    assert [check.met for check in checks([found])] == met
