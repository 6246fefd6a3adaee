from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_aiopt.advisor.rules import RULES
from benchmarks.sick.__main__ import Row, write
from benchmarks.sick.airflow import AirflowIllness
from benchmarks.sick.illnesses import ILLNESSES, by_name
from benchmarks.sick.local import LocalIllness


def test_there_are_at_least_ten_and_each_has_a_rule_of_its_own() -> None:
    assert len(ILLNESSES) >= 10
    rules = [illness.rule for illness in ILLNESSES]
    assert len(set(rules)) == len(rules)
    assert set(rules) <= {rule.name for rule in RULES}


def test_nothing_that_a_report_may_hold_names_the_illness() -> None:
    for illness in ILLNESSES:
        words = {word for word in illness.name.lower().split() if len(word) > 4}
        if isinstance(illness, AirflowIllness):
            assert not words & set(illness.dag_id.split("_"))
        assert isinstance(illness, AirflowIllness | LocalIllness)


def test_an_unknown_illness_is_refused_with_those_that_there_are() -> None:
    assert by_name("pool of one").rule == "queueing.slots"
    with pytest.raises(SystemExit, match="slow storage"):
        by_name("measles")


@pytest.mark.parametrize(("measured", "close"), [(2.0, True), (2.49, True), (2.51, False), (1.49, False)])
def test_close_is_within_a_quarter_of_the_prediction(measured: float, close: bool) -> None:
    assert Row("a", "a", 2.0, measured).is_close is close


def test_rows_are_written_in_order_and_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results" / "advisor.json"
    first, second = ILLNESSES[0].name, ILLNESSES[1].name
    write([Row(second, second, 2.0, 1.9)], path)
    write([Row(first, "nothing", 1.0, 1.0)], path)
    write([Row(second, second, 3.0, 2.9)], path)
    rows = json.loads(path.read_text())
    assert [row["illness"] for row in rows] == [first, second]
    assert rows[1] == {"illness": second, "found": second, "predicted_gain": 3.0, "measured_gain": 2.9}
