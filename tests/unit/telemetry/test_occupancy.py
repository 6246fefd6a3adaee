from __future__ import annotations

import pytest

from airflow_provider_aiopt.telemetry.occupancy import Occupancy


class FakeTime:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def test_time_in_use_counts_once_however_many_use_it(time: FakeTime) -> None:
    occupancy = Occupancy(time)
    with occupancy.using():
        time.now += 1
        with occupancy.using():
            time.now += 2
    time.now += 1  # nobody
    with occupancy.using():
        time.now += 4
    time.now += 100  # after the last
    assert occupancy.share == 7 / 8


def test_a_block_that_raises_ends_too(time: FakeTime) -> None:
    occupancy = Occupancy(time)
    with pytest.raises(LookupError), occupancy.using():
        time.now += 1
        raise LookupError
    time.now += 1
    with occupancy.using():
        time.now += 2
    assert occupancy.share == 3 / 4


def test_without_use_there_is_no_share(time: FakeTime) -> None:
    occupancy = Occupancy(time)
    assert occupancy.share is None
    with occupancy.using():
        pass
    assert occupancy.share is None, "it took no time"
