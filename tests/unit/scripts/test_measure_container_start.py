from __future__ import annotations

from measure_container_start import steps


def test_steps_are_counted_from_the_call_of_the_engine() -> None:
    reports = {
        "ingest": {"started_at": "1970-01-01T00:16:41.250000Z"},
        "inference": {"ended_at": "1970-01-01T00:16:42+00:00"},
        "postprocess": {"ended_at": "1970-01-01T00:16:42.5+00:00"},
    }
    assert steps(1000.0, 1000.5, 1003.0, reports) == {
        "container and process started": 0.5,
        "modules imported, spec read": 1.25,
        "first batch inferred, model load included": 2.0,
        "results written": 2.5,
        "container removed": 3.0,
    }
