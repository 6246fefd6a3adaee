"""The latency benchmark, one upload to one system of each kind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.latency.measure import bench
from benchmarks.latency_systems import systems

pytestmark = pytest.mark.integration


def test_every_kind_of_system_takes_up_its_upload(tmp_path: Path) -> None:
    names = (
        "file_sensor_1s",
        "deferrable_file_sensor_1s",
        "directory_file_delete_trigger_1s",
        "aiopt_watch_streaming",
        "new_upload_trigger",
    )
    known = systems()
    with bench(
        tmp_path, "low-latency", [known[name] for name in names], "sqlite", random.Random(1)
    ) as running:
        samples = {sample.system: sample for sample in running.round()}

    assert set(samples) == set(names)
    for name, sample in samples.items():
        assert sample.uploaded_at < sample.first_task_at
        if name != "aiopt_watch_streaming":
            assert sample.event_at is not None
            assert sample.uploaded_at < sample.event_at < sample.first_task_at
    results_at = samples["aiopt_watch_streaming"].results_at
    assert results_at is not None
    assert samples["aiopt_watch_streaming"].first_task_at < results_at
