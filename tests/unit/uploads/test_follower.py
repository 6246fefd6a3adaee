from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_provider_aiopt.exceptions import StorageError, UploadRecordError
from airflow_provider_aiopt.uploads import remote
from airflow_provider_aiopt.uploads.state import UploadState

memory = fsspec.filesystem("memory")


def put(url: str, content: bytes = b"content") -> None:
    memory.pipe_file(url, content)


def test_what_was_there_before_is_passed_over_and_what_comes_is_offered(inbox: Path, drive: Any) -> None:
    (inbox / "old.jpg").write_bytes(b"old")
    driver = drive(inbox)
    assert driver.run(0) == []
    assert driver.follower.is_ready
    (inbox / "new.jpg").write_bytes(b"new")
    assert driver.names(40) == ["new.jpg"]


def test_what_was_there_before_is_offered_on_demand(inbox: Path, drive: Any) -> None:
    (inbox / "old.jpg").write_bytes(b"old")
    assert drive(inbox, existing="offer").names(1) == ["old.jpg"]


def test_what_comes_while_nobody_watches_is_offered_later(inbox: Path, drive: Any) -> None:
    driver = drive(inbox)
    driver.run(1)
    (inbox / "meanwhile.jpg").write_bytes(b"new")
    driver.restart()
    assert driver.names(1) == ["meanwhile.jpg"]


def test_events_that_come_during_the_first_scan_are_no_old_files(inbox: Path, drive: Any) -> None:
    (inbox / "old.jpg").write_bytes(b"old")
    driver = drive(inbox)
    (inbox / "new.jpg").write_bytes(b"new")
    driver.follower.note({f"{inbox}/new.jpg"}, False)
    assert driver.names(2) == ["new.jpg"]


def test_a_second_process_starts_from_the_baseline_of_the_first(inbox: Path, drive: Any) -> None:
    first, second = drive(inbox), drive(inbox)
    first.run(0)
    (inbox / "between.jpg").write_bytes(b"new")
    assert second.names(1) == ["between.jpg"]


def test_a_new_version_is_a_new_upload(inbox: Path, drive: Any) -> None:
    driver = drive(inbox)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    (first,) = driver.run(40)
    (inbox / "a.jpg").write_bytes(b"other")
    (second,) = driver.run(60)
    assert [first[0].uri, first[0].version != second[0].version] == [second[0].uri, True]


def test_an_unclaimed_upload_is_offered_again_and_a_claimed_one_is_not(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, reoffer_s=100)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    (batch,) = driver.run(50)
    assert driver.run(100) == [batch]
    assert driver.run(150) == [], "the next offer comes after twice the time"
    driver.state.claims.claim(batch, "dag", "run")
    assert driver.run(10_000) == []
    driver.follower.close()
    driver.restart()
    assert driver.run(10_000) == []


def test_claims_are_believed_where_all_shortcuts_are_lost(inbox: Path, drive: Any, tmp_path: Path) -> None:
    driver = drive(inbox)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    (batch,) = driver.run(50)
    driver.state.claims.claim(batch, "dag", "run")
    driver.restart()
    assert driver.run(10_000) == []


def test_a_deleted_upload_is_not_offered_for_ever(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, reoffer_s=100)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    assert driver.names(50) == ["a.jpg"]
    (inbox / "a.jpg").unlink()
    assert driver.run(10_000) == []


def test_a_released_claim_is_offered_again(inbox: Path, drive: Any) -> None:
    driver = drive(inbox)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    (batch,) = driver.run(50)
    driver.state.claims.claim(batch, "dag", "run")
    driver.state.claims.claim(batch, "another dag", "run")
    driver.run(100)
    driver.state.release(driver.state.claims.owner(batch[0].key, "dag"))
    ((again,),) = driver.run(20)
    assert again.key == batch[0].key
    assert driver.run(500) == []
    driver.time.wall += 1
    assert driver.state.claims.claim([again], "dag", "a second run").ours == [again]
    assert driver.run(10_000) == []
    assert driver.state.releases() == []


def test_many_make_several_events(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, max_batch=4)
    driver.run(0)
    for number in range(10):
        (inbox / f"{number}.jpg").write_bytes(b"one")
    assert [len(batch) for batch in driver.run(40)] == [4, 4, 2]


def test_a_window_collects(bucket: str, drive: Any) -> None:
    driver = drive(bucket, window_s=20, poll_interval_s=5)
    driver.run(0)
    put(f"{bucket}/a.jpg")
    assert driver.run(10) == []
    put(f"{bucket}/b.jpg")
    assert [len(batch) for batch in driver.run(20)] == [2]


def test_objects_are_offered_at_once_unless_they_must_have_an_age(bucket: str, drive: Any) -> None:
    driver = drive(bucket, poll_interval_s=5, min_age_s=12)
    driver.run(0)
    put(f"{bucket}/a.jpg")
    assert driver.run(14) == []
    assert driver.names(10) == ["a.jpg"]


def test_a_folder_that_appears_later_is_watched_for(
    tmp_path: Path, drive: Any, caplog: pytest.LogCaptureFixture
) -> None:
    driver = drive(tmp_path / "later", recursive=True)
    assert driver.run(100) == []
    (tmp_path / "later/sub").mkdir(parents=True)
    (tmp_path / "later/sub/a.jpg").write_bytes(b"new")
    driver.follower.look_soon()
    assert driver.names(5) == ["a.jpg"]
    assert [record.message for record in caplog.records].count(
        f"{tmp_path}/later does not exist; it is watched for"
    ) == 1


def test_a_bucket_that_appears_later_is_watched_for(drive: Any, bucket: str) -> None:
    driver = drive(f"{bucket}/none", poll_interval_s=5)
    driver.run(20)
    put(f"{bucket}/none/a.jpg")
    assert driver.names(10) == ["a.jpg"]


class ExpiredError(OSError):
    """What a driver raises for credentials that expired."""


def test_a_store_that_fails_is_said_once_and_tried_again(
    bucket: str, drive: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    driver = drive(bucket, poll_interval_s=1)
    driver.run(0)
    calls = []

    def expired(*_: Any, **__: Any) -> Any:
        calls.append(driver.time.now)
        raise ExpiredError("the token has expired")
        yield []

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_list_at_once", expired)
        put(f"{bucket}/a.jpg")
        assert driver.run(300) == []
    assert 5 < len(calls) < 15, "with growing waits"
    assert driver.names(60) == ["a.jpg"]
    messages = [record.message for record in caplog.records]
    assert sum("the token has expired" in message for message in messages) == 1
    assert messages[-1] == f"{bucket} is watched again"


def test_a_store_that_fails_at_first_takes_its_first_listing_for_old(
    bucket: str, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{bucket}/old.jpg")
    driver = drive(bucket, poll_interval_s=1)

    def refused(*_: Any, **__: Any) -> Any:
        raise ConnectionError("throttled")
        yield []

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_list_at_once", refused)
        driver.run(30)
    assert not driver.follower.is_ready
    assert driver.run(100) == []
    assert driver.follower.is_ready


def test_offers_outlive_a_state_that_cannot_be_read(
    inbox: Path, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = drive(inbox, reoffer_s=100)
    driver.run(0)
    (inbox / "a.jpg").write_bytes(b"one")
    (batch,) = driver.run(35)

    def fails(*_: Any, **__: object) -> set[str]:
        raise StorageError("away")

    with monkeypatch.context() as patched:
        patched.setattr(type(driver.state.claims), "claimed", fails)
        driver.run(20)
    assert driver.run(100) == [batch]


def test_a_damaged_baseline_ends_the_watch(inbox: Path, drive: Any) -> None:
    driver = drive(inbox)
    driver.run(0)
    driver.state.folder.write("baseline.bin", b"123")
    driver.restart()
    with pytest.raises(UploadRecordError, match=r"baseline\.bin has 3 bytes.*Remove it"):
        driver.run(0)


def test_wall_clocks_and_old_times_decide_nothing(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, min_age_s=10)
    driver.run(0)
    (inbox / "copied.jpg").write_bytes(b"one")
    os.utime(inbox / "copied.jpg", (0, 0))
    driver.follower.note({f"{inbox}/copied.jpg"}, False)
    driver.run(5)
    driver.time.wall -= 86_400
    assert driver.run(4) == []
    ((found,),) = driver.run(3)
    assert found.version.endswith("-0-3")


def test_a_burst_is_followed_by_a_scan_for_what_the_kernel_dropped(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, rescan_s=600, max_batch=5000)
    driver.run(0)
    for number in range(1100):
        (inbox / f"{number}.jpg").write_bytes(b"one")
    (inbox / "dropped.jpg").write_bytes(b"one")
    driver.follower.note({f"{inbox}/{number}.jpg" for number in range(1100)}, False)
    assert len(driver.names(5)) == 1101


def test_the_state_says_what_it_is_of(inbox: Path, drive: Any) -> None:
    driver = drive(inbox, pattern="*.jpg")
    driver.run(0)
    state: UploadState = driver.state
    assert state.description() == {"uri": str(inbox), "pattern": ["*.jpg"], "recursive": False}
