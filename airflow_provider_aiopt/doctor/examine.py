"""Runs checks, each within its time and without harm to the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import (
    CheckResult,
    DoctorReport,
    Finding,
    Severity,
    Skip,
    error,
    worst,
)
from airflow_provider_aiopt.exceptions import AioptError, ConfigurationError

_BUG = (
    "This is a fault of the doctor: please report it with the output of --json. --skip leaves the check out"
)


def select(checks: Sequence[Check], *, only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[Check]:
    """Return the checks that a user chose, in their own order.

    :param only: ids of those to make; none for all
    :param skip: ids of those to leave out
    :raises ConfigurationError: if an id is none
    """
    known = [check.id for check in checks]
    only, skip = set(only), set(skip)
    if unknown := sorted((only | skip).difference(known)):
        raise ConfigurationError(f"There is no check {', '.join(unknown)}. There are: {', '.join(known)}")
    return [check for check in checks if check.id not in skip and (not only or check.id in only)]


def examine(
    context: CheckContext,
    checks: Iterable[Check],
    *,
    strict: bool = False,
    limit_s: float | None = None,
    tell: Callable[[CheckResult], object] = lambda _: None,
) -> DoctorReport:
    """Make checks one after the other.

    :param context: what they look at
    :param checks: which
    :param strict: whether warnings, and what did not answer, make the report bad
    :param limit_s: seconds for each; default its own limit
    :param tell: called with each result as it comes
    """
    results = []
    for check in checks:
        results.append(make_check(check, context, limit_s=limit_s))
        tell(results[-1])
    return DoctorReport(
        version=__version__,
        ok=not any(_is_bad(result, strict=strict) for result in results),
        strict=strict,
        profile=context.profile and context.profile.name,
        checks=tuple(results),
    )


def _is_bad(result: CheckResult, *, strict: bool) -> bool:
    if strict and (result.unanswered or result.severity is Severity.WARNING):
        return True
    return result.severity is Severity.ERROR


def make_check(check: Check, context: CheckContext, *, limit_s: float | None = None) -> CheckResult:
    """Make one check; whatever goes wrong with it becomes a finding.

    It runs on a thread of its own: one that hangs in a driver cannot be ended, only left behind.
    """
    limit_s = check.limit_s if limit_s is None else limit_s
    outcomes: list[Finding | Skip] = []

    def work() -> None:
        try:
            for outcome in check.run(context):
                outcomes.append(outcome)  # noqa: PERF402 - what came before it hangs or fails is kept
        except Exception as fault:  # noqa: BLE001 - the others go on
            outcomes.append(_failed(check, fault))

    thread = threading.Thread(target=work, name=f"doctor-{check.id}", daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(limit_s)
    hangs = thread.is_alive()
    found = list(outcomes)
    if hangs:
        found.append(_late(check, limit_s))
    return _result(check, found, time.monotonic() - started)


def _result(check: Check, outcomes: Iterable[Finding | Skip], duration_s: float) -> CheckResult:
    findings = tuple(item for item in outcomes if isinstance(item, Finding))
    skips = [] if findings else [item for item in outcomes if isinstance(item, Skip)]
    skipped = "; ".join(dict.fromkeys(item.reason for item in skips)) or None
    return CheckResult(
        id=check.id,
        title=check.title,
        severity=None if skipped else worst(item.severity for item in findings),
        skipped=skipped,
        unanswered=any(item.unanswered for item in skips),
        duration_s=round(duration_s, 3),
        findings=findings,
    )


def _failed(check: Check, fault: Exception) -> Finding:
    if isinstance(fault, AioptError):
        return error(check.title, str(fault), "Do what the message says; --skip leaves the check out")
    return error(check.title, f"the check itself failed: {type(fault).__name__}: {fault}", _BUG)


def _late(check: Check, limit_s: float) -> Finding:
    return error(
        check.title,
        f"not done after {limit_s:g} s: something that it asks does not answer",
        "Look at what it asks (docs/doctor.md says it), or give it more time with --time-limit SECONDS",
    )
