from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.clock import PHASES, StageClock


class FakeTime:
    """A clock that only moves when told to, by multiples that add up exactly."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def test_what_no_phase_claims_is_busy(time: FakeTime) -> None:
    clock = StageClock(time)
    time.advance(3)
    clock.stop()
    assert (clock.wall_s, clock.seconds("busy")) == (3, 3)


def test_a_phase_takes_its_time_from_busy(time: FakeTime) -> None:
    clock = StageClock(time)
    time.advance(1)
    with clock.phase("wait_input"):
        time.advance(5)
    time.advance(2)
    clock.stop()
    assert [clock.seconds(phase) for phase in PHASES] == [3, 0, 5, 0]


def test_an_inner_phase_is_not_the_outer_ones(time: FakeTime) -> None:
    clock = StageClock(time)
    with clock.phase("wait_input"):
        time.advance(1)
        with clock.phase("model_load"):
            time.advance(2)
            with clock.phase("wait_output"):
                time.advance(4)
            time.advance(8)
        time.advance(16)
    clock.stop()
    assert [clock.seconds(phase) for phase in ("wait_input", "model_load", "wait_output", "busy")] == [
        17,
        10,
        4,
        0,
    ]


def test_a_phase_ends_where_its_block_raises(time: FakeTime) -> None:
    clock = StageClock(time)

    def fail_after_a_second() -> None:
        time.advance(1)
        raise LookupError

    with pytest.raises(LookupError), clock.phase("wait_output"):
        fail_after_a_second()
    time.advance(2)
    clock.stop()
    assert (clock.seconds("wait_output"), clock.seconds("busy")) == (1, 2)


def test_stopping_again_changes_nothing(time: FakeTime) -> None:
    clock = StageClock(time)
    time.advance(1)
    clock.stop()
    time.advance(9)
    clock.stop()
    assert (clock.wall_s, clock.seconds("busy")) == (1, 1)


def test_the_wall_time_goes_on_until_it_is_stopped(time: FakeTime) -> None:
    clock = StageClock(time)
    time.advance(1)
    assert clock.wall_s == 1
    time.advance(1)
    assert clock.wall_s == 2


STEPS = st.recursive(
    st.tuples(st.just("wait"), st.integers(0, 64)),
    lambda inner: st.tuples(st.sampled_from(PHASES), st.lists(inner, max_size=4)),
    max_leaves=20,
)


@given(st.lists(STEPS, max_size=8))
def test_the_phases_add_up_to_the_wall_time_however_they_are_nested(steps: list) -> None:
    time = FakeTime()
    clock = StageClock(time)

    def play(step: tuple) -> None:
        name, content = step
        if name == "wait":
            time.advance(content)
            return
        with clock.phase(name):
            for inner in content:
                play(inner)

    for step in steps:
        play(step)
    clock.stop()
    assert sum(map(clock.seconds, PHASES)) == clock.wall_s == time.now - 1000


def test_lanes_that_work_are_busy_whatever_the_driver_waits_for(time: FakeTime) -> None:
    clock = StageClock(time)
    clock.lanes = 2
    with clock.phase("wait_input"):
        with clock.working():
            time.advance(4)  # one of two lanes
            with clock.working():
                time.advance(2)  # both
        time.advance(1)  # none
    time.advance(8)
    clock.stop()
    assert [clock.seconds(phase) for phase in PHASES] == [2 + 2 + 8, 0, 2 + 1, 0]


def test_more_blocks_than_lanes_do_not_make_a_second_longer(time: FakeTime) -> None:
    clock = StageClock(time)
    with clock.phase("wait_output"), clock.working(), clock.working():
        time.advance(3)
    clock.stop()
    assert (clock.wall_s, clock.seconds("busy"), clock.seconds("wait_output")) == (3, 3, 0)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from([*PHASES, "begin", "end"]), st.integers(0, 64)), max_size=30),
)
def test_the_phases_add_up_to_the_wall_time_whichever_lanes_work(lanes: int, steps: list) -> None:
    time = FakeTime()
    clock = StageClock(time)
    clock.lanes = lanes
    working = []
    for step, seconds in steps:
        if step == "begin":
            working.append(clock.working())
            working[-1].__enter__()
            time.advance(seconds)
        elif step == "end":
            if working:
                working.pop().__exit__(None, None, None)
            time.advance(seconds)
        else:
            with clock.phase(step):
                time.advance(seconds)
    clock.stop()
    assert sum(map(clock.seconds, PHASES)) == pytest.approx(clock.wall_s)
    assert clock.wall_s == time.now - 1000
