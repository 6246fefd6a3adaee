"""Taking uploads that a queue's messages tell of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow_fakes import FakeAssetEvent, FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow import taking
from airflow_provider_aiopt.data.uploads import Upload, from_jsonl
from airflow_provider_aiopt.operators.take_uploads import TakeUploadsOperator
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.uploads.claims import ClaimStore
from airflow_provider_aiopt.uploads.payloads import make_payload
from airflow_provider_aiopt.uploads.state import open_state

QUEUE = {"scheme": "sqs", "sqs_queue": "q"}


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(taking, "acknowledge", lambda *arguments: calls.append(arguments))
    return calls


class Site:
    """A DAG's first task, whose run was started by messages."""

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.workspace = folder / "workspace"
        self.watch = {"uri": str(self.inbox), "state": str(folder / "state")}

    def told(self, name: str = "a.jpg") -> str:
        return json.dumps({"uri": f"{self.inbox}/{name}", "size": 7, "version": "1"})

    def take(self, *payloads: Any, messages: Any = QUEUE, run: str = "run") -> str:
        operator = TakeUploadsOperator(
            task_id="take", watch=self.watch, messages=messages, workspace=str(self.workspace)
        )
        events = [FakeAssetEvent.carrying(payload) for payload in payloads]
        instance = FakeTaskInstance("take", run_id=run)
        return operator.execute(
            task_context(instance, context={"triggering_asset_events": {"photos": events}})
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_uploads_are_claimed_and_then_acknowledged(site: Site, acknowledged: list[Any]):
    manifest = site.take(site.told(), "hello")
    (upload,) = from_jsonl(Path(manifest).read_bytes(), manifest)
    assert upload.uri == f"file://{site.inbox}/a.jpg"
    assert acknowledged == [(QUEUE, [site.told(), "hello"])]


def test_a_message_that_comes_again_is_acknowledged_and_its_run_skipped(site: Site, acknowledged: list[Any]):
    site.take(site.told())
    with pytest.raises(Exception, match="No upload is left for this run") as caught:
        site.take(site.told(), run="another")
    assert type(caught.value).__name__ == "AirflowSkipException"
    assert len(acknowledged) == 2


def test_nothing_is_acknowledged_that_was_not_claimed(
    site: Site, acknowledged: list[Any], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the claims' storage is away")

    monkeypatch.setattr(ClaimStore, "claim", fail)
    with pytest.raises(OSError, match="away"):
        site.take(site.told())
    assert acknowledged == []


def test_only_what_the_watch_has_seen_tells_how_long_it_waited(
    site: Site, acknowledged: list[Any], monkeypatch: pytest.MonkeyPatch
):
    sent: list[list[Upload]] = []
    monkeypatch.setattr(taking, "send_upload_latency", lambda _, uploads: sent.append(list(uploads)))
    site.take(site.told("a.jpg"))
    assert sent == []

    spec = load_watch_spec(site.watch)
    seen = Upload(f"file://{site.inbox}/b.jpg", 7, "1", 5.0)
    offer = make_payload(spec, [seen], open_state(spec))
    manifest = site.take(offer, site.told("b.jpg"), site.told("c.jpg"), run="another")
    assert sent == [[seen]]
    taken = from_jsonl(Path(manifest).read_bytes(), manifest)
    assert [Path(upload.uri).name for upload in taken] == ["b.jpg", "c.jpg"]
    assert taken[0].seen_at == 5.0
    assert len(acknowledged) == 2


def test_without_a_queue_its_messages_are_none_of_the_tasks(site: Site, acknowledged: list[Any]):
    with pytest.raises(Exception, match="was not started for uploads"):
        site.take(site.told(), messages=None)
    assert acknowledged == []
