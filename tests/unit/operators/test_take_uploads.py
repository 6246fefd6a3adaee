from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_fakes import FakeAssetEvent, FakeTaskInstance, task_context
from upload_watching import make_upload

from airflow_provider_aiopt import TakeUploadsOperator
from airflow_provider_aiopt.airflow import uploads as airflow_uploads
from airflow_provider_aiopt.data.uploads import Upload, from_jsonl
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.uploads.payloads import make_payload
from airflow_provider_aiopt.uploads.state import UploadState, open_state

A, B = make_upload("a.jpg"), make_upload("b.jpg")
WATCH = {"uri": "s3://bucket", "pattern": ["*.jpg"]}


class Metrics:
    sent: list[tuple[str, float, dict[str, str]]]

    def __init__(self) -> None:
        Metrics.sent = []

    def timing_ms(self, metric: Any, value: float, tags: dict[str, str]) -> None:
        self.sent.append((metric.name, value, tags))


@pytest.fixture(autouse=True)
def _deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setattr(airflow_uploads, "AirflowMetrics", Metrics)
    monkeypatch.setattr(airflow_uploads.time, "time", lambda: 100.0)


def state(tmp_path: Path) -> UploadState:
    return open_state(load_watch_spec(WATCH), default=str(tmp_path / "work" / "uploads"))


def take(tmp_path: Path, *uploads: Upload, watch: Any = None, run_id: str = "run") -> list[Upload]:
    """Run the task of a run that an event of *uploads* started; return what it took."""
    payload = make_payload(load_watch_spec(WATCH), uploads, state(tmp_path))
    events = {"photos": [FakeAssetEvent.carrying(payload)]} if uploads else {}
    operator = TakeUploadsOperator(task_id="take", watch=watch or WATCH)
    instance = FakeTaskInstance("take", run_id=run_id)
    path = operator.execute(task_context(instance, context={"triggering_asset_events": events}))
    return from_jsonl(Path(path).read_bytes(), path)


def test_what_it_takes_is_listed_for_the_pipeline(tmp_path: Path) -> None:
    assert take(tmp_path, B, A) == [A, B]
    assert (tmp_path / "work" / "dag" / "run" / "uploads.jsonl").is_file()
    claim = state(tmp_path).claims.owner(A.key, "dag")
    assert claim is not None
    assert claim.run_id == "run"


def test_a_cleared_task_takes_the_same_again(tmp_path: Path) -> None:
    take(tmp_path, A, B)
    assert take(tmp_path, A, B) == [A, B]


def test_what_another_run_has_is_left_to_it(tmp_path: Path) -> None:
    take(tmp_path, A)
    assert take(tmp_path, A, B, run_id="second") == [B]


def test_where_nothing_is_left_the_run_is_skipped(tmp_path: Path) -> None:
    take(tmp_path, A, B)
    with pytest.raises(AirflowSkipException, match="other runs have all 2"):
        take(tmp_path, A, B, run_id="second")
    assert not (tmp_path / "work" / "dag" / "second").exists()


def test_a_run_started_by_hand_says_so(tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException, match="not started for uploads of s3://bucket"):
        take(tmp_path)


def test_another_watch_than_the_triggers_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"SpecError: .* another pattern or recursive"):
        take(tmp_path, A, watch=WATCH | {"recursive": True})


def test_a_wrong_watch_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="patern: unknown key; did you mean 'pattern'"):
        take(tmp_path, A, watch={"uri": "s3://bucket", "patern": "*"})


def test_how_long_the_oldest_has_waited_is_a_metric(tmp_path: Path) -> None:
    take(tmp_path, Upload("s3://bucket/old.jpg", 1, "1", 90.0), Upload("s3://bucket/new.jpg", 1, "1", 99.5))
    tags = {"dag_id": "dag", "task_id": "take", "stage": "take"}
    assert Metrics.sent == [("ai_pipeline.upload.to_start", 10_000.0, tags)]


def test_a_clock_that_was_ahead_makes_no_negative_wait(tmp_path: Path) -> None:
    take(tmp_path, Upload("s3://bucket/future.jpg", 1, "1", 500.0))
    assert Metrics.sent[0][1] == 0.0


def test_airflow_can_serialise_it() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("dag", schedule=None) as dag:
        TakeUploadsOperator(task_id="take", watch=WATCH, workspace="{{ params.place }}")
    DagSerialization.to_dict(dag)
