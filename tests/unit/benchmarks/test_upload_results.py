from __future__ import annotations

from pathlib import Path

import pytest
from direct_route import watch_of
from upload_watching import make_upload

from airflow_provider_aiopt.uploads.state import open_state
from benchmarks.upload_results import Outcome, Recorded

A, B = make_upload("a.jpg"), make_upload("b.jpg")


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    (tmp_path / "results" / "dag").mkdir(parents=True)
    return Recorded(tmp_path, "dag")


def claim(root: Path, run_id: str) -> None:
    open_state(watch_of(root / "state")).claims.claim([A, B], consumer="dag", run_id=run_id)


def result(root: Path, key: str, run: str) -> None:
    (root / "results" / "dag" / f"{key}.{run}").write_text("s3://bucket/x.jpg")


def test_a_result_of_each_by_the_run_that_claimed_it(recorded: Recorded, tmp_path: Path) -> None:
    claim(tmp_path, "a/run")
    for upload in (A, B):
        result(tmp_path, upload.key, "a%2Frun")
    assert recorded.outcome(2) == Outcome(lost=0, duplicated=0)
    assert recorded.outcome(3) == Outcome(lost=1, duplicated=0)


def test_a_second_run_of_an_upload_shows(recorded: Recorded, tmp_path: Path) -> None:
    claim(tmp_path, "one")
    for upload, run in ((A, "one"), (A, "two"), (B, "one")):
        result(tmp_path, upload.key, run)
    assert recorded.outcome(2) == Outcome(lost=0, duplicated=1)


def test_a_result_without_a_claim_shows(recorded: Recorded, tmp_path: Path) -> None:
    claim(tmp_path, "one")
    result(tmp_path, A.key, "one")
    result(tmp_path, B.key, "two")
    assert recorded.outcome(2) == Outcome(lost=0, duplicated=1)


def test_nothing_at_all_is_all_lost(tmp_path: Path) -> None:
    assert Recorded(tmp_path, "another").outcome(5) == Outcome(lost=5, duplicated=0)


def test_an_upload_appears_whole(recorded: Recorded) -> None:
    recorded.put("a.jpg", "content")
    assert [path.name for path in recorded.inbox.iterdir()] == ["a.jpg"]
