from __future__ import annotations

import json

import pytest

from benchmarks.checks import Check, conclude, table


@pytest.mark.parametrize(
    ("check", "met"),
    [
        (Check("ratio", 1.5, 1.45), True),
        (Check("ratio", 1.45, 1.45), True),
        (Check("ratio", 1.4, 1.45), False),
        (Check("seconds", 59, 60, at_most=True), True),
        (Check("seconds", 61, 60, at_most=True), False),
    ],
)
def test_a_target_is_a_floor_or_a_ceiling(check, met):
    assert check.met is met


def test_conclude_prints_and_writes(tmp_path, capsys):
    path = conclude(
        "example",
        {"commit": "abc"},
        [table("Example", ("", "n"), [("x", "1")])],
        [Check("ratio", 1.0, 2.0)],
        tmp_path / "results",
    )

    assert json.loads(path.read_text()) == {
        "benchmark": "example",
        "commit": "abc",
        "checks": [{"name": "ratio", "value": 1.0, "target": 2.0, "at_most": False, "met": False}],
    }
    assert "missed" in capsys.readouterr().out
