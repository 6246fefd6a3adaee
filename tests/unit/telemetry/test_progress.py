from __future__ import annotations

from airflow_provider_aiopt.telemetry.progress import LineProgress


class FakeTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_at_most_every_ten_seconds() -> None:
    time, lines = FakeTime(), list[str]()
    progress = LineProgress(lines.append, now=time)
    progress.expect("ingest", 1000)
    for _ in range(250):
        time.now += 0.125
        progress.advance("ingest", 4)
    assert lines == [
        "ingest 320 of 1,000 records (32.0/s)",
        "ingest 640 of 1,000 records (32.0/s)",
        "ingest 960 of 1,000 records (32.0/s)",
    ]


def test_the_rate_is_that_since_the_last_line() -> None:
    time, lines = FakeTime(), list[str]()
    progress = LineProgress(lines.append, now=time)
    time.now = 10
    progress.advance("ingest", 100)
    time.now = 20
    progress.advance("preprocess", 50)
    assert lines == [
        "ingest 100 records (10.0/s)",
        "ingest 100 records (0.0/s), preprocess 50 records (5.0/s)",
    ]
