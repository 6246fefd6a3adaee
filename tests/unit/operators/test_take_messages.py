"""Taking uploads that a queue's messages tell of."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_fakes import task_context

from airflow_provider_aiopt.data.uploads import from_jsonl
from airflow_provider_aiopt.operators import take_uploads
from airflow_provider_aiopt.operators.take_uploads import TakeUploadsOperator
from airflow_provider_aiopt.uploads.claims import ClaimStore

QUEUE = {"scheme": "sqs", "sqs_queue": "q"}


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(take_uploads, "acknowledge", lambda *arguments: calls.append(arguments))
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
        events = [SimpleNamespace(extra={"from_trigger": True, "payload": payload}) for payload in payloads]
        context = task_context() | {"triggering_asset_events": {"photos": events}}
        context["ti"].run_id = run
        return operator.execute(context)  # type: ignore[arg-type]


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


def test_without_a_queue_its_messages_are_none_of_the_tasks(site: Site, acknowledged: list[Any]):
    with pytest.raises(Exception, match="No upload is left"):
        site.take(site.told(), messages=None)
    assert acknowledged == []
