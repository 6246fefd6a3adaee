"""What a run's report says about its profiles, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_aiopt.telemetry.reports import PROFILE, RunReport
from airflow_provider_aiopt.telemetry.units import share, size


def profile_lines(report: RunReport) -> Iterator[str]:
    """Yield a line for each profile: what it is of, where it lies, what it has cost."""
    for task in report.tasks:
        account = task.details.get(PROFILE)
        if isinstance(account, dict):
            yield f"Profile of {task.stage}: {_words(account)}"


def _words(account: Mapping[str, Any]) -> str:
    if error := account.get("error"):
        return f"{account.get('kind')} failed: {error}"
    files = ", ".join(f"{name} {size(number)}" for name, number in dict(account.get("files", {})).items())
    return f"{account.get('uri')} ({account.get('kind')}: {files}; {_overhead(account.get('overhead'))})"


def _overhead(overhead: Mapping[str, Any] | None) -> str:
    if overhead is None:
        return "overhead not known: too few calls"
    bounds = f"{share(overhead['low'])} and {share(overhead['high'])}"
    return f"overhead {share(overhead['share'])}, between {bounds}"
