from __future__ import annotations

import json
from typing import Any

import pytest
from render_models import BEGIN, END, PAGE, RESULTS, figures, rendered

LATENCY = {
    "1": {"p50_s": 0.0021, "p95_s": 0.003, "calls": 50, "items_per_s": 476.2},
    "16": {"p50_s": 0.02, "p95_s": 0.03, "calls": 50, "items_per_s": 800.0},
}
EVALUATION = {"agreement": 0.9625, "mean_score_error": 0.0147, "max_score_error": 0.0749}


def results(*devices: str, faults: tuple[str, ...] = ()) -> dict[str, Any]:
    forms = [
        {"form": "FP32", "size_bytes": 18_543_528, "latency": LATENCY, "evaluation": None, "faults": []},
        {"form": "INT8", "size_bytes": 5e6, "latency": LATENCY, "evaluation": EVALUATION, "faults": faults},
    ]
    return {
        "machine": {"cpu": "A CPU", "cores_used": 2, "vnni": True},
        "versions": {"onnxruntime": "1.32.0"},
        "date": "2026-12-01T12:00:00+00:00",
        "rounds": 5,
        "calls": 10,
        "models": [
            {"model": "Tiny", "device": device, "data": "240 crops", "records": 240, "forms": forms}
            for device in devices
        ],
    }


def test_a_form_is_a_line_with_all_its_figures() -> None:
    lines = figures(results("cpu")).splitlines()
    assert (
        "A CPU, 2 cores with VNNI; ONNX Runtime 1.32.0; 2026-12-01; 5 rounds of 10 calls each, in turns."
        in lines
    )
    assert "| FP32 | cpu | 18.5 | 2.1, 3.0 | 476 | 20.0, 30.0 | 800 |  |  | reference |" in lines
    assert (
        "| INT8 | cpu | 5.0 | 2.1, 3.0 | 476 | 20.0, 30.0 | 800 | 96.2% | 0.0147, 0.0749 | passes |" in lines
    )
    assert lines[-1] == "On a GPU: not measured; there was none."


def test_what_the_gate_refuses_and_gpus_are_shown() -> None:
    text = figures(results("cpu", "cuda", faults=("--min-agreement",)))
    assert text.count("refuses |") == 2
    assert "| INT8 | cuda |" in text
    assert "not measured" not in text


def test_only_what_lies_between_the_marks_is_replaced() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"
    new = rendered(page, results("cpu"))
    assert new.startswith(f"before\n{BEGIN}")
    assert new.endswith(f"{END}after\n")
    assert rendered(new, results("cpu")) == new
    with pytest.raises(ValueError, match="lacks one of its marks"):
        rendered("no marks", results("cpu"))


def test_the_page_has_what_was_measured() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if RESULTS.exists():
        measured = json.loads(RESULTS.read_text(encoding="utf-8"))
        assert rendered(page, measured) == page, "run scripts/render_models.py"
    else:
        assert f"{BEGIN}{END}" in page, "figures without their source"
