"""A diagnosis as text for people."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.models import Diagnosis, Recommendation
from airflow_provider_aiopt.telemetry.timings import Advice
from airflow_provider_aiopt.telemetry.units import duration, share

_LIMITS = {
    "scheduling": "the scheduler",
    "queueing": "waits for slots",
    "startup": "starting tasks and loading the model",
    "storage": "storage",
    "preprocessing": "preprocessing on the CPU",
    "inference": "inference",
    "device": "a device that waits for the host",
    "transfer": "moving bytes",
    "postprocessing": "postprocessing",
    "neighbours": "others on the same cores",
}


def one_line(diagnosis: Diagnosis) -> str:
    """Return what limits a run and the first thing to change, in one line without an end."""
    if diagnosis.limit is None:
        return "Nothing stands out"
    limit = f"Limited by {_LIMITS[diagnosis.limit]}"
    if not diagnosis.recommendations:
        return (
            f"{limit} ({share(diagnosis.shares.get(diagnosis.limit, 0.0))} of the run); "
            "nothing to change is known"
        )
    first = diagnosis.recommendations[0]
    return f"{limit}. {_to_do(first)}: {_promise(first)}"


def explanation(diagnosis: Diagnosis) -> str:
    """Return all of a diagnosis as lines of text."""
    lines = [one_line(diagnosis), ""]
    if diagnosis.shares:
        parts = ", ".join(f"{family} {share(part)}" for family, part in diagnosis.shares.items())
        lines += [f"Of {duration(diagnosis.elapsed_s)}: {parts}", ""]
    for number, found in enumerate(diagnosis.recommendations, start=1):
        lines += [
            f"{number}. {found.title} [{found.rule}]",
            *(f"   - {item}" for item in found.evidence),
            f"   change: {'; '.join(map(str, found.changes))}",
            f"   gain:   {_promise(found)}: {found.formula}",
            f"   if:     {found.assumptions}",
            f"   after:  {found.reason}",
            "",
        ]
    return "\n".join(lines)


def advice(diagnosis: Diagnosis) -> tuple[Advice, ...]:
    """Return a diagnosis as the pages show it: titles and texts."""
    return tuple(
        Advice(
            title=found.title,
            text=f"{_to_do(found)}: {_promise(found)}, if {found.assumptions}. {'; '.join(found.evidence)}.",
        )
        for found in diagnosis.recommendations
    )


def _to_do(found: Recommendation) -> str:
    verb = "Run" if found.changes[0].scope == "command" else "Set"
    return f"{verb} {'; '.join(map(str, found.changes))}"


def _promise(found: Recommendation) -> str:
    promise = f"{found.gain:.2f} times as fast, {duration(found.saved_s)} less"
    return f"perhaps {promise}" if found.kind == "conditional" else promise
