from __future__ import annotations

from airflow_provider_aiopt.telemetry.hardware.reading import MachineFacts, Reading
from airflow_provider_aiopt.telemetry.hardware.series import MAX_POINTS
from airflow_provider_aiopt.telemetry.hardware.watch import Watch


def samples(watch: Watch) -> int:
    use = watch.series.use(MachineFacts())
    return use.samples if use else 0


def test_the_first_sample_is_due_at_once_and_the_next_after_the_interval() -> None:
    watch = Watch(1.0)
    assert watch.urgent
    assert watch.pause_s(10.0) == 0
    assert not watch.take(Reading(10.0), 0.0)
    assert not watch.urgent
    assert watch.pause_s(10.25) == 0.75
    assert watch.pause_s(12.0) == 0


def test_a_reading_for_another_stage_is_taken_where_one_is_nearly_due() -> None:
    watch = Watch(1.0)
    for moment in (10.0, 10.4, 10.6):
        watch.take(Reading(moment), 0.0)
    assert samples(watch) == 2
    assert watch.pause_s(10.6) == 1.0


def test_a_costly_sample_puts_the_next_one_off() -> None:
    watch = Watch(1.0)
    watch.take(Reading(10.0), 5.0)
    assert watch.pause_s(10.0) == 5.0


def test_the_last_sample_is_taken_at_once() -> None:
    watch = Watch(1.0)
    watch.take(Reading(10.0), 0.0)
    watch.ending = True
    assert watch.urgent
    assert watch.pause_s(10.25) == 0
    assert watch.take(Reading(10.25), 0.0)
    assert samples(watch) == 2


def test_a_long_stage_is_sampled_more_and_more_rarely() -> None:
    watch, now, taken = Watch(1.0), 0.0, 0
    while now < 24 * 3600:
        watch.take(Reading(now), 0.0)
        taken += 1
        now += watch.pause_s(now)
    assert taken < MAX_POINTS * 10
    assert watch.pause_s(now - 1024) > 512
