"""The chart's copies of rules, dashboard, mapping and profile are those of the project."""

from __future__ import annotations

import pytest
from sync_chart import BEGIN, CHART, chart_files, out_of_date, rendered


def test_the_copies_are_up_to_date() -> None:
    assert out_of_date(chart_files()) == [], "run: python scripts/sync_chart.py"


def test_a_copy_that_differs_or_should_not_be_there_is_seen() -> None:
    files = chart_files()
    rules, values = CHART / "files" / "rules" / "alerts.yaml", CHART / "values.yaml"

    assert out_of_date(files | {rules: "groups: []\n"}) == [rules]
    assert out_of_date({path: text for path, text in files.items() if path != rules}) == [rules]
    assert out_of_date(files | {values: ""}) == [values]


def test_what_is_written_by_hand_stays() -> None:
    values = (CHART / "values.yaml").read_text()

    assert rendered(values.replace("aiopt-stage", "mine")) == values.replace("aiopt-stage", "mine")
    assert rendered(values.replace('scheduler_idle_sleep_time: "0.05"', 'x: "1"')) == values
    assert rendered(values[: values.rindex("    - {")]) == values


def test_a_file_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values\.yaml lacks a mark"):
        rendered((CHART / "values.yaml").read_text().replace(BEGIN, ""))
