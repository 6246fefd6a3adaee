from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow_fakes import FakeAssetEvent

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.airflow.config import messages_option
from airflow_provider_aiopt.airflow.messages import kafka_message, message_payloads, uploads_of_messages
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.notifications import DeadLetters, uploads_of_event
from airflow_provider_aiopt.uploads.state import UploadState


class FakeMessage:
    """A ``confluent_kafka.Message``."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    def value(self) -> bytes | None:
        return self.content

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7


class TestKafkaMessage:
    def test_a_text(self):
        assert kafka_message(FakeMessage(b"{}")) == {"topic": "t", "partition": 0, "offset": 7, "value": "{}"}

    @pytest.mark.parametrize(
        ("content", "fault"),
        [(None, "tombstone"), (b"\xff", "no UTF-8"), (b"x" * (1024 * 1024 + 1), "1048577 bytes")],
    )
    def test_what_cannot_be_read_becomes_an_event_all_the_same(self, content: bytes | None, fault: str):
        payload = json.loads(json.dumps(kafka_message(FakeMessage(content))))
        assert payload, "the trigger takes an empty answer for a message of no interest"
        assert len(json.dumps(payload)) < 5000
        assert fault in uploads_of_event(payload, received_at=1.0).dead_letters[0].reason


def test_only_payloads_of_queues_are_messages():
    events = {
        "asset": [
            FakeAssetEvent.carrying("message"),
            FakeAssetEvent.carrying({"watch_id": "w", "uploads": []}),
        ],
        "other": [
            FakeAssetEvent({"payload": "a task's"}),
            FakeAssetEvent({}),
            FakeAssetEvent.carrying({"stream": "s"}),
        ],
    }
    assert message_payloads({"triggering_asset_events": events}) == ["message", {"stream": "s"}]
    assert message_payloads({}) == []


def test_uploads_are_taken_and_the_rest_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    inbox = tmp_path / "inbox"
    spec = UploadWatchSpec(uri=str(inbox))
    state = UploadState.open(str(tmp_path / "state"), spec.watch_id)
    told = [
        {"uri": f"{inbox}/a.jpg", "size": 7, "version": "1"},
        {"uri": "/etc/passwd", "size": 7, "version": "1"},
    ]
    payloads = [json.dumps(told), json.dumps(told[:1]), "hello"]
    uploads = uploads_of_messages(payloads, spec, state, clock=lambda: 5.0)
    assert [upload.uri for upload in uploads] == [f"file://{inbox}/a.jpg"]
    reasons = [letter.reason for letter in DeadLetters(state.folder).read()]
    assert len(reasons) == 2
    assert "does not lie below" in reasons[0]
    assert "2 dead letters are kept in" in caplog.text


@pytest.mark.parametrize("scheme", ["kafka", "redis+pubsub"])
def test_queues_that_cannot_be_told(scheme: str):
    acknowledge({"scheme": scheme}, [{"entries": [{"id": "1-0"}]}])


class TestOption:
    def test_none_by_default(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("AIRFLOW__AIOPT__MESSAGES", raising=False)
        assert messages_option() is None

    def test_a_queue(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AIRFLOW__AIOPT__MESSAGES", '{"scheme": "sqs", "sqs_queue": "q"}')
        assert messages_option() == {"scheme": "sqs", "sqs_queue": "q"}

    @pytest.mark.parametrize("value", ["sqs", "[]", "{}", '{"scheme": 1}'])
    def test_a_wrong_value(self, monkeypatch: pytest.MonkeyPatch, value: str):
        monkeypatch.setenv("AIRFLOW__AIOPT__MESSAGES", value)
        with pytest.raises(ConfigurationError, match=r"\[aiopt\] messages must be a JSON object"):
            messages_option()
