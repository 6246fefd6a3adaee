from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider_aiopt.deployment.profiles import load_profile
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.examine import examine, make_check, select
from airflow_provider_aiopt.doctor.models import (
    CheckResult,
    DoctorReport,
    Finding,
    Severity,
    Skip,
    error,
    note,
    ok,
    warning,
)
from airflow_provider_aiopt.exceptions import ConfigurationError, StorageError

OK, NOTE, WARNING, ERROR = ok("s", "e"), note("s", "e", "r"), warning("s", "e", "r"), error("s", "e", "r")


def check(*outcomes: Finding | Skip | Exception, id: str = "some") -> Check:  # noqa: A002 - as the field is called
    def run(_: CheckContext) -> Iterator[Finding | Skip]:
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    return Check(id, "some thing", "nothing", run)


def made(*outcomes: Finding | Skip | Exception) -> CheckResult:
    return make_check(check(*outcomes), CheckContext())


@pytest.mark.parametrize(
    ("outcomes", "severity"),
    [
        ((), "ok"),
        ((OK,), "ok"),
        ((OK, NOTE), "note"),
        ((WARNING, NOTE), "warning"),
        ((NOTE, ERROR, WARNING), "error"),
    ],
)
def test_a_checks_severity_is_that_of_its_worst_finding(outcomes: tuple[Finding, ...], severity: str) -> None:
    result = made(*outcomes)
    assert (result.severity, result.findings, result.skipped) == (severity, outcomes, None)


def test_a_check_that_looks_at_nothing_says_why() -> None:
    result = made(Skip("no such thing"), Skip("no such thing"), Skip("nor this", unanswered=True))
    assert (result.severity, result.skipped) == (None, "no such thing; nor this")
    assert result.unanswered


def test_what_was_found_counts_more_than_what_was_not_looked_at() -> None:
    result = made(Skip("no such thing", unanswered=True), WARNING)
    assert (result.severity, result.skipped, result.unanswered) == ("warning", None, False)


def test_a_crash_is_a_finding_and_keeps_what_was_found_before() -> None:
    first, crash = made(NOTE, ZeroDivisionError("by zero")).findings
    assert first == NOTE
    assert (crash.severity, crash.subject) == ("error", "some thing")
    assert crash.evidence == "the check itself failed: ZeroDivisionError: by zero"
    assert "please report it" in crash.remedy


def test_an_error_of_this_package_is_no_crash() -> None:
    (finding,) = made(StorageError("Cannot read x: gone")).findings
    assert (finding.severity, finding.evidence) == ("error", "Cannot read x: gone")


def test_a_check_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang(_: CheckContext) -> Iterator[Finding]:
        yield NOTE
        release.wait()

    try:
        result = make_check(Check("some", "some thing", "nothing", hang), CheckContext(), limit_s=0.2)
    finally:
        release.set()
    first, late = result.findings
    assert first == NOTE
    assert (late.severity, late.evidence) == (
        "error",
        "not done after 0.2 s: something that it asks does not answer",
    )
    assert result.duration_s >= 0.2


def report(*outcomes: Finding | Skip, strict: bool = False) -> DoctorReport:
    return examine(CheckContext(), [check(outcome) for outcome in outcomes], strict=strict)


@pytest.mark.parametrize(
    ("outcome", "by_default", "when_strict"),
    [
        (OK, True, True),
        (NOTE, True, True),
        (WARNING, True, False),
        (ERROR, False, False),
        (Skip("not asked for"), True, True),
        (Skip("does not answer", unanswered=True), True, False),
    ],
)
def test_what_makes_a_report_bad(outcome: Finding | Skip, by_default: bool, when_strict: bool) -> None:
    assert report(OK, outcome).ok is by_default
    assert report(OK, outcome, strict=True).ok is when_strict


def test_one_checks_crash_does_not_keep_the_next_from_being_made() -> None:
    told: list[str] = []
    checks = [check(ZeroDivisionError("x"), id="first"), check(NOTE, id="second")]
    context = CheckContext(profile=load_profile("throughput"))
    found = examine(context, checks, tell=lambda result: told.append(result.id))
    assert told == ["first", "second"]
    assert (found.count(Severity.ERROR), found.count(Severity.NOTE), found.profile) == (1, 1, "throughput")


class TestSelect:
    checks = (check(id="first"), check(id="second"), check(id="third"))

    @pytest.mark.parametrize(
        ("only", "skip", "chosen"),
        [
            ([], [], ["first", "second", "third"]),
            (["third", "first"], [], ["first", "third"]),
            ([], ["second"], ["first", "third"]),
            (["third", "first"], ["third"], ["first"]),
        ],
    )
    def test_in_their_own_order(self, only: list[str], skip: list[str], chosen: list[str]) -> None:
        assert [item.id for item in select(self.checks, only=only, skip=skip)] == chosen

    def test_an_unknown_id_names_those_that_there_are(self) -> None:
        with pytest.raises(ConfigurationError, match=r"no check fourth\. There are: first, second, third"):
            select(self.checks, skip=["fourth"])
