from __future__ import annotations

from pathlib import Path

import pytest
from direct_route import Crash, CrashingRuns, FakeRuns, away, starter_of, watch_of
from upload_watching import make_upload

from airflow_provider_aiopt.direct.starter import backoff_s
from airflow_provider_aiopt.exceptions import AirflowApiError, StorageError
from airflow_provider_aiopt.uploads.batches import BatchStore
from airflow_provider_aiopt.uploads.payloads import CONF_KEY, read_payload
from airflow_provider_aiopt.uploads.state import UploadState

A, B, C = (make_upload(name) for name in ("a.jpg", "b.jpg", "c.jpg"))


def taken(airflow: FakeRuns, state: UploadState, folder: Path) -> list[str]:
    """Return the URIs that the runs have, each as often as a run names it."""
    watch = watch_of(folder).watch_id
    return sorted(
        upload.uri for conf in airflow.runs.values() for upload in read_payload(conf[CONF_KEY], watch, state)
    )


def test_a_batch_becomes_a_run_that_has_its_uploads(tmp_path: Path) -> None:
    airflow = FakeRuns()
    starter, state = starter_of(tmp_path, airflow)
    assert starter.start([A, B])
    ((run_id, _),) = airflow.runs.items()
    assert taken(airflow, state, tmp_path) == [A.uri, B.uri]
    claim = state.claims.owner(A.key, "dag")
    assert claim is not None
    assert claim.run_id == run_id
    assert starter.resume() == 0
    assert (starter.counts.runs, starter.counts.uploads, starter.counts.latency_s) == (1, 2, 10.0)


def test_what_another_run_has_is_left_out(tmp_path: Path) -> None:
    airflow = FakeRuns()
    starter, state = starter_of(tmp_path, airflow)
    starter.start([A])
    starter.start([A, B])
    assert taken(airflow, state, tmp_path) == [A.uri, B.uri]


def test_where_nothing_is_left_no_run_is_made(tmp_path: Path) -> None:
    airflow = FakeRuns()
    starter, _ = starter_of(tmp_path, airflow)
    starter.start([A, B])
    assert starter.start([B])
    assert len(airflow.runs) == 1
    assert starter.resume() == 0


def test_what_another_instance_is_at_is_left_to_it(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [away()]
    first, second = (starter_of(tmp_path, airflow)[0] for _ in range(2))
    assert not first.start([A])
    assert second.start([A])
    assert airflow.asked == 1


def test_two_instances_make_one_run(tmp_path: Path) -> None:
    airflow = CrashingRuns(before=False)
    first, second = (starter_of(tmp_path, airflow)[0] for _ in range(2))
    with pytest.raises(Crash):
        first.start([A])
    assert second.resume() == 0
    assert len(airflow.runs) == 1
    assert second.counts.duplicates == 1


@pytest.mark.parametrize("before", [True, False])
def test_whoever_comes_after_a_crash_finishes_it(tmp_path: Path, before: bool) -> None:
    airflow = CrashingRuns(before=before)
    starter, state = starter_of(tmp_path, airflow)
    with pytest.raises(Crash):
        starter.start([A, B])
    assert starter_of(tmp_path, airflow)[0].resume() == 0
    assert len(airflow.runs) == 1
    assert taken(airflow, state, tmp_path) == [A.uri, B.uri]


def test_while_airflow_is_away_batches_are_only_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    airflow = FakeRuns()
    airflow.failures = [away(), away()]
    starter, state = starter_of(tmp_path, airflow)
    assert not any([starter.start([A]), starter.start([B]), starter.start([C])])
    assert airflow.asked == 1
    assert starter.resume() == 3
    assert airflow.asked == 2, "the first failure shows that it is still away"
    assert caplog.text.count("was not answered") == 1
    assert starter.resume() == 0
    assert taken(airflow, state, tmp_path) == [A.uri, B.uri, C.uri]
    assert (starter.counts.trouble, starter.counts.failures) == ("", 2)


def test_what_another_instance_has_finished_is_no_trouble(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [away()]
    first, second = (starter_of(tmp_path, airflow)[0] for _ in range(2))
    first.start([A])
    assert second.resume() == 0
    assert first.counts.trouble
    assert first.resume() == 0
    assert first.counts.trouble == ""
    assert first.start([B])


def test_a_run_that_airflow_refuses_holds_up_no_other(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [AirflowApiError("POST: wrong params", 400)]
    starter, state = starter_of(tmp_path, airflow)
    assert not starter.start([A])
    assert starter.start([B])
    assert starter.resume() == 0
    assert taken(airflow, state, tmp_path) == [A.uri, B.uri]


def test_told_to_close_it_leaves_the_rest(tmp_path: Path) -> None:
    airflow = FakeRuns()
    airflow.failures = [away()]
    starter, _ = starter_of(tmp_path, airflow)
    starter.start([A])
    starter.close()
    assert starter.resume() == 1
    assert airflow.asked == 1


def test_a_batch_that_cannot_be_kept_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = FakeRuns()
    starter, state = starter_of(tmp_path, airflow)

    def fail(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(BatchStore, "begin", fail)
    with pytest.raises(StorageError, match="full"):
        starter.start([A])
    assert state.claims.owner(A.key, "dag") is None
    assert airflow.asked == 0


def test_the_pauses_grow_to_a_minute() -> None:
    assert [backoff_s(attempt) for attempt in (1, 2, 3, 1000)] == [1.0, 2.0, 4.0, 60.0]
