"""Stage reports cut down to what an XCom may have; the whole ones stay in the run's workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_provider_aiopt.telemetry.reports import ADVICE, PROFILE, QUARANTINED_BY, StageReport

XCOM_BYTES = 4096
"""Bytes that all reports of one task together may have."""

ERROR_LENGTH = 200
"""Characters that remain of an error's message where there is no room for it."""


def small_reports(reports: Sequence[StageReport]) -> list[dict[str, Any]]:
    """Leave out, until they fit into one XCom, defaults, the hardware, and what makes reports large.

    :param reports: the reports of one task
    :returns: the same as plain JSON values
    """
    reports = [_without_series(report) for report in reports]
    compact = sum(map(_size, reports)) > XCOM_BYTES
    if compact and sum(map(_compact_size, reports)) > XCOM_BYTES:
        reports = [report.model_copy(update={"hardware": None}) for report in reports]
    for number in sorted(range(len(reports)), key=lambda number: -_compact_size(reports[number])):
        if compact and sum(map(_compact_size, reports)) > XCOM_BYTES:
            reports[number] = _without_details(reports[number])
    return [report.model_dump(mode="json", exclude_defaults=compact) for report in reports]


def _size(report: StageReport) -> int:
    return len(report.model_dump_json().encode())


def _compact_size(report: StageReport) -> int:
    values = report.model_dump(mode="json", exclude_defaults=True)
    return len(json.dumps(values, ensure_ascii=False).encode())


def _without_series(report: StageReport) -> StageReport:
    """Leave out the hardware's series, several kB, and keep its levels."""
    hardware = report.hardware and report.hardware.without_series()
    return report.model_copy(update={"hardware": hardware})


def _without_details(report: StageReport) -> StageReport:
    error = report.error and report.error[:ERROR_LENGTH]
    details = {key: value for key, value in report.details.items() if key in {ADVICE, QUARANTINED_BY}}
    if isinstance(profile := report.details.get(PROFILE), dict):  # where it lies; the rest is there, too
        details[PROFILE] = {key: value for key, value in profile.items() if key in {"kind", "uri", "files"}}
    small = {"details": details, "batch_sizes": {}, "error": error, "evidence": None}
    return report.model_copy(update=small)
