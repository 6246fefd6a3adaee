"""The template that compares variants, run whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dag_test import DagTester

pytestmark = pytest.mark.integration


def test_variants_are_run_in_turn_compared_and_decided_on(dag_tester: DagTester, tmp_path: Path) -> None:
    winner = tmp_path / "winner.json"
    params = {
        "rounds": 3,
        "variants": {"streaming": {"mode": "streaming"}},
        "threshold": 0.04,
        "publish": str(winner),
    }
    workspace = dag_tester.test("ab_test", params)

    found = json.loads((workspace / "comparison.json").read_text())
    assert (found["baseline"], found["paired"], found["threshold"]) == ("baseline", True, 0.04)
    (variant,) = found["variants"]
    assert (variant["name"], variant["metrics"][0]["rounds"]) == ("streaming", 3)
    assert (variant["agreement"]["balanced"], variant["agreement"]["shared"]) == (True, 6)
    assert len(list(workspace.glob("*/round-*/reports"))) == 6
    published = json.loads(winner.read_text()) if winner.exists() else None
    assert (published is None) == (variant["verdict"] == "inconclusive")
    if published:
        better = variant["verdict"] == "better"
        assert published["winner"] == ("streaming" if better else "baseline")
        assert published["overrides"] == ({"mode": "streaming"} if better else {})
