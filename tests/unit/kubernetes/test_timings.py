from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.kubernetes.status import PodFacts
from airflow_provider_aiopt.kubernetes.timings import PodTimings, pod_timings
from airflow_provider_aiopt.telemetry.testing import make_stage_report


def at(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}Z"


def event(reason: str, message: str) -> dict[str, Any]:
    return {"reason": reason, "message": message, "type": "Normal"}


POD = {
    "metadata": {"creationTimestamp": at(0)},
    "status": {
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(90)}],
        "containerStatuses": [
            {"name": "base", "state": {"terminated": {"startedAt": at(130), "finishedAt": at(150)}}}
        ],
    },
}
EVENTS = (
    event(
        "Pulled",
        'Successfully pulled image "r/aiopt" in 32.5s (32.5s including waiting). Image size: 1 bytes.',
    ),
    event("Pulled", 'Container image "alpine" already present on machine'),
)


def test_a_pods_time_is_split() -> None:
    reports = (
        make_stage_report("ingest", start=132.0, wall_s=1.0),
        make_stage_report("inference", start=132.5, wall_s=17.0, model_load_s=3.0),
    )
    found = pod_timings(PodFacts("ai", "p", POD, EVENTS), reports).seconds()
    assert found == {
        "schedule": 90.0,
        "pull": 32.5,
        "start": 7.5,
        "boot": 2.0,
        "load": 3.0,
        "run": 17.5,
        "total": 150.0,
    }


def test_minutes_and_fractions_of_a_pull_are_read() -> None:
    said = 'Successfully pulled image "x" in 1m2.25s (2m0s including waiting). Image size: 9 bytes.'
    assert pod_timings(PodFacts("ai", "p", POD, [event("Pulled", said)])).pull_s == 62.25
    said = 'Successfully pulled image "x" in 714ms (714ms including waiting)'
    assert pod_timings(PodFacts("ai", "p", POD, [event("Pulled", said)])).pull_s == 0.714


def test_what_is_not_known_is_not_made_up() -> None:
    assert pod_timings(PodFacts("ai", "p")) == PodTimings()
    pending = {"metadata": {"creationTimestamp": at(0)}, "status": {"phase": "Pending"}}
    assert pod_timings(PodFacts("ai", "p", pending)).seconds() == {}
    without_events = pod_timings(PodFacts("ai", "p", POD))
    assert (without_events.pull_s, without_events.start_s) == (None, 40.0)


def test_a_node_whose_clock_is_behind_makes_no_negative_time() -> None:
    early = make_stage_report(start=100.0, wall_s=1.0)
    assert pod_timings(PodFacts("ai", "p", POD), [early]).boot_s == 0.0
