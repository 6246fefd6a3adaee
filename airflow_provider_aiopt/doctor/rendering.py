"""The doctor's report for people, and its documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.compatibility import Compatibility
from airflow_provider_aiopt.doctor.models import CheckResult, DoctorReport, Severity

_SKIPPED = "skipped"
_WIDTH = max(map(len, (*Severity, _SKIPPED)))


def result_lines(result: CheckResult, *, verbose: bool) -> Iterator[str]:
    """Yield what is shown of a check that was made.

    :param verbose: show all that is as it should be, too
    """
    shown = [item for item in result.findings if verbose or item.severity is not Severity.OK]
    if not shown:
        yield f"{Severity.OK:<{_WIDTH}}  {result.id}: {_summary(result)}"
    for finding in shown:
        yield f"{finding.severity:<{_WIDTH}}  {result.id}: {finding.subject}: {finding.evidence}"
        if finding.remedy:
            yield f"{'':<{_WIDTH}}  {finding.remedy}"


def _summary(result: CheckResult) -> str:
    if not result.findings:
        return result.title
    first = result.findings[-1]
    more = f" (and {len(result.findings) - 1} more: --verbose)" if len(result.findings) > 1 else ""
    return f"{first.subject}: {first.evidence}{more}"


def skipped_lines(report: DoctorReport) -> Iterator[str]:
    """Yield which checks were skipped, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for check in report.checks:
        if check.skipped is not None:
            reasons.setdefault(check.skipped, []).append(check.id)
    for reason, ids in reasons.items():
        yield f"{_SKIPPED:<{_WIDTH}}  {', '.join(ids)}: {reason}"


def last_line(report: DoctorReport) -> str:
    """Return the line that sums a report up."""
    counts = {
        severity: report.count(severity) for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    }
    told = [f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count]
    skipped = sum(check.skipped is not None for check in report.checks)
    made = f"{len(report.checks) - skipped} checks"
    rest = f", {skipped} skipped" if skipped else ""
    return f"{made}{rest}: {', '.join(told) or 'nothing to change'}"


def checks_table(checks: Iterable[Check]) -> str:
    """Return the table of ``docs/doctor.md``."""
    rows = "".join(f"| `{check.id}` | {check.title} | {check.finds} |\n" for check in checks)
    return f"| check | looks at | finds |\n|---|---|---|\n{rows}"


def versions_table(table: Compatibility) -> str:
    """Return what ``docs/doctor.md`` says of the versions that are known."""
    ort, drivers = table.onnxruntime, table.drivers
    rows = "".join(
        f"| {item.versions} | {item.cuda} | {item.cudnn} | {item.tensorrt} |\n" for item in ort.releases
    )
    minimum = ", ".join(f"CUDA {cuda}: {driver}" for cuda, driver in drivers.minimum.items())
    rules = "".join(
        f"* {item.package} {item.versions} beside {item.with_} {item.with_versions}: {item.why} "
        f"([source]({item.source})).\n"
        for item in table.incompatible
    )
    tested = ", ".join(f"{name} {item.oldest} to {item.newest}" for name, item in table.tested.items())
    sources = " and ".join(f"<{source}>" for source in ort.sources)
    return (
        f"| onnxruntime-gpu | CUDA | cuDNN | TensorRT |\n|---|---|---|---|\n{rows}\n"
        f"Known up to {ort.known_until}. Sources: {sources}.\n\n"
        f"The oldest NVIDIA driver for each major version of CUDA: {minimum} (<{drivers.source}>).\n\n{rules}"
        f"* Tested with: {tested}.\n"
    )


def report_schema() -> str:
    """Return the JSON Schema of ``aiopt doctor --json``."""
    return json.dumps(DoctorReport.model_json_schema(), indent=2) + "\n"
