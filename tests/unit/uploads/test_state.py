"""Who is shown what by the state that several share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from direct_route import watch_of
from upload_watching import Driver, Time, make_upload

from airflow_provider_aiopt.uploads.follower import Follower
from airflow_provider_aiopt.uploads.state import UploadState, open_state
from airflow_provider_aiopt.uploads.watching import open_location

A, B = make_upload("a.jpg"), make_upload("b.jpg")
LONG = "dag." * 60


def seen_by(tmp_path: Path, consumer: str | None) -> UploadState:
    state = open_state(watch_of(tmp_path), consumer=consumer)
    state.describe(watch_of(tmp_path))
    return state


@pytest.mark.parametrize("alone", ["alone", LONG])
class TestClaims:
    def test_of_a_dag_that_watches_for_itself_end_no_other_offer(self, tmp_path: Path, alone: str) -> None:
        events, other, own = (seen_by(tmp_path, consumer) for consumer in (None, "other", alone))
        own.claims.claim([A], consumer=alone, run_id="run")
        assert [state.claimed([A.key]) for state in (events, other, own)] == [set(), set(), {A.key}]

    def test_that_came_of_events_end_those_of_events_alone(self, tmp_path: Path, alone: str) -> None:
        events, own = seen_by(tmp_path, None), seen_by(tmp_path, alone)
        events.claims.claim([A], consumer="by_asset", run_id="run")
        assert events.claimed([A.key]) == {A.key}
        assert own.claimed([A.key]) == set()

    def test_count_again_once_events_feed_the_dag(self, tmp_path: Path, alone: str) -> None:
        events, own = seen_by(tmp_path, None), seen_by(tmp_path, alone)
        own.claims.claim([A], consumer=alone, run_id="run")
        events.fed_by_events(alone)
        assert events.claimed([A.key]) == {A.key}

    def test_given_back_are_offered_to_whom_they_were(self, tmp_path: Path, alone: str) -> None:
        events, other, own = (seen_by(tmp_path, consumer) for consumer in (None, "other", alone))
        own.claims.claim([A], consumer=alone, run_id="run")
        events.claims.claim([B], consumer="by_asset", run_id="run")
        for consumer in own.claims.consumers():
            for claim in list(own.claims.all(consumer)):
                own.release(claim)
        released = [[release.upload.uri for release in state.releases()] for state in (events, other, own)]
        assert released == [[B.uri], [], [A.uri]]


def test_the_shortcuts_are_kept_apart(tmp_path: Path) -> None:
    events, own = seen_by(tmp_path, None), seen_by(tmp_path, "alone")
    events.begin(b"")
    events.deliver([1])
    own.deliver([2])
    for consumer, known in ((None, 1), ("alone", 2)):
        found = seen_by(tmp_path, consumer).known()
        assert found is not None
        assert [number for number in (1, 2) if number in found] == [known]


def test_each_dag_is_offered_what_another_has_claimed_already(drive: Any, inbox: Path, time: Time) -> None:
    by_events: Driver = drive(inbox)
    by_events.run(5)
    (inbox / "a.jpg").write_bytes(b"a")
    (offered,) = [batch for batch in by_events.run(60) if batch]
    by_events.state.claims.claim(offered, consumer="by_asset", run_id="run")
    by_events.run(60)

    late: Driver = drive(inbox)
    late.state = open_state(late.spec, consumer="alone", clock=lambda: time.wall)
    late.follower = Follower(late.spec, open_location(late.spec), late.state, time.clocks())
    assert late.names(5) == ["a.jpg"]
