"""What a check says, and the report that all of them make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Severity(StrEnum):
    """How bad a finding is, the worst last."""

    OK = "ok"
    """It was looked at, and is as it should be."""

    NOTE = "note"
    """Worth knowing."""

    WARNING = "warning"
    """It works, but not as it should, or it could not be judged."""

    ERROR = "error"
    """Tasks will not run, or something that was asked for does not work."""


_ORDER = tuple(Severity)


def worst(severities: Iterable[Severity]) -> Severity:
    """Return the worst of some severities, ``ok`` for none."""
    return max(severities, key=_ORDER.index, default=Severity.OK)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Model):
    """One thing that a check found.

    :param severity: how bad it is
    :param subject: what it is about, for example an option or a pool
    :param evidence: what was found, in numbers where there are any
    :param remedy: what to do; empty where nothing is to be done
    """

    severity: Severity = Field(description="how bad it is: ok, note, warning or error")
    subject: str = Field(description="what it is about, for example an option or a pool")
    evidence: str = Field(description="what was found, in numbers where there are any")
    remedy: str = Field(default="", description="what to do; empty where nothing is to be done")


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a check cannot be made, or need not.

    :param reason: why, and what would let it be made
    :param unanswered: whether something was asked that should have answered
    """

    reason: str
    unanswered: bool = False


def ok(subject: str, evidence: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(severity=Severity.OK, subject=subject, evidence=evidence)


def note(subject: str, evidence: str, remedy: str) -> Finding:
    """Say something that is worth knowing."""
    return Finding(severity=Severity.NOTE, subject=subject, evidence=evidence, remedy=remedy)


def warning(subject: str, evidence: str, remedy: str) -> Finding:
    """Say that something is not as it should be."""
    return Finding(severity=Severity.WARNING, subject=subject, evidence=evidence, remedy=remedy)


def error(subject: str, evidence: str, remedy: str) -> Finding:
    """Say that something does not work."""
    return Finding(severity=Severity.ERROR, subject=subject, evidence=evidence, remedy=remedy)


class CheckResult(_Model):
    """What came of one check."""

    id: str = Field(description="the check's id, as for --only and --skip")
    title: str = Field(description="what it looks at, in one line")
    severity: Severity | None = Field(description="the worst of its findings; null where it was skipped")
    skipped: str | None = Field(description="why it was not made; null where it was")
    unanswered: bool = Field(description="whether it was skipped because something it asked did not answer")
    duration_s: float = Field(ge=0, description="how long it took, in seconds")
    findings: tuple[Finding, ...] = Field(description="what it found, in the order of its work")


class DoctorReport(_Model):
    """What ``aiopt doctor --json`` prints."""

    schema_version: Literal[2] = Field(default=2, description="2; 1 was before checks had ids")
    version: str = Field(description="version of airflow-provider-aiopt")
    ok: bool = Field(description="whether the exit code is 0")
    strict: bool = Field(description="whether warnings, and checks skipped as unanswered, count as errors")
    profile: str | None = Field(description="the profile that was compared with, if any")
    checks: tuple[CheckResult, ...] = Field(description="every check that was chosen, in the order made")

    def count(self, severity: Severity) -> int:
        """Return how many findings of a severity there are."""
        return sum(item.severity is severity for check in self.checks for item in check.findings)
