from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_provider_aiopt.doctor.catalogue import CHECKS
from airflow_provider_aiopt.doctor.compatibility import load_compatibility
from airflow_provider_aiopt.doctor.models import CheckResult, DoctorReport, Finding, note, ok, warning
from airflow_provider_aiopt.doctor.rendering import (
    checks_table,
    last_line,
    report_schema,
    result_lines,
    skipped_lines,
    versions_table,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "doctor.md").read_text(encoding="utf-8")


def result(*findings: Finding, id: str = "some", skipped: str | None = None) -> CheckResult:  # noqa: A002 - as the field
    return CheckResult(
        id=id,
        title="some thing",
        severity=None,
        skipped=skipped,
        unanswered=False,
        duration_s=0.1,
        findings=findings,
    )


def report(*checks: CheckResult) -> DoctorReport:
    return DoctorReport(version="1", ok=True, strict=False, profile=None, checks=checks)


@pytest.mark.parametrize("table", [checks_table(CHECKS), versions_table(load_compatibility())])
def test_the_page_has_the_tables_as_they_are(table: str) -> None:
    assert table in PAGE, "run scripts/render_doctor.py"


def test_no_cell_breaks_the_table() -> None:
    rows = checks_table(CHECKS).splitlines()[2:]
    assert len(rows) == len(CHECKS)
    assert {row.count("|") for row in rows} == {4}


def test_the_published_schema_is_that_of_the_code() -> None:
    assert (DOCS / "doctor.schema.json").read_text() == report_schema(), "run scripts/render_doctor.py"
    schema = json.loads(report_schema())
    described = [
        field
        for model in (schema, *schema["$defs"].values())
        for name, field in model.get("properties", {}).items()
    ]
    assert described
    assert all(field.get("description") for field in described)


def test_the_page_names_no_check_or_option_that_there_is_not() -> None:
    from airflow_provider_aiopt.cli.doctor import COMMAND

    options = {flag for argument in COMMAND.arguments for flag in argument.flags}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--check"} <= options
    named = set(re.findall(r"--(?:only|skip) ([a-z-]+)", PAGE))
    assert named <= {check.id for check in CHECKS}


def test_a_check_without_findings_to_tell_is_one_line() -> None:
    several = result(ok("a", "1"), ok("b", "2"))
    assert list(result_lines(several, verbose=False)) == ["ok       some: b: 2 (and 1 more: --verbose)"]
    assert list(result_lines(several, verbose=True)) == ["ok       some: a: 1", "ok       some: b: 2"]
    assert list(result_lines(result(), verbose=True)) == ["ok       some: some thing"]


def test_findings_and_what_to_do() -> None:
    assert list(result_lines(result(ok("a", "1"), warning("b", "2", "do it")), verbose=False)) == [
        "warning  some: b: 2",
        "         do it",
    ]


def test_what_was_skipped_for_the_same_reason_is_told_together() -> None:
    found = report(
        result(id="a", skipped="no x"), result(id="b", skipped="no y"), result(id="c", skipped="no x")
    )
    assert list(skipped_lines(found)) == ["skipped  a, c: no x", "skipped  b: no y"]


@pytest.mark.parametrize(
    ("checks", "line"),
    [
        ([result(ok("a", "1"))], "1 checks: nothing to change"),
        (
            [result(note("a", "1", "r"), note("b", "1", "r")), result(skipped="x")],
            "1 checks, 1 skipped: 2 notes",
        ),
        ([result(warning("a", "1", "r"), note("b", "1", "r"))], "1 checks: 1 warning, 1 note"),
    ],
)
def test_the_last_line_counts(checks: list[CheckResult], line: str) -> None:
    assert last_line(report(*checks)) == line
