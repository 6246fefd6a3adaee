"""S3's notifications through SQS, both of a real moto server."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import Cloud
from components import requires

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.triggers.messages import message_trigger
from airflow_provider_aiopt.uploads.notifications import uploads_of_event

pytestmark = pytest.mark.integration
requires("airflow.providers.common.messaging", "pip install 'airflow-provider-aiopt[sqs]'")


@pytest.fixture
def cloud(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud(s3_server)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", cloud.connection)
    return cloud


def test_what_s3_tells_is_what_a_listing_shows(cloud: Cloud, next_payload: Any):
    cloud.notify_queue()
    etag = cloud.put("in box/ü+a b.jpg", b"content")
    cloud.s3.delete_object(Bucket=cloud.bucket, Key="in box/ü+a b.jpg")
    received = uploads_of_event(next_payload(message_trigger(**cloud.source)), received_at=1.0)
    (upload,) = received.uploads
    assert upload.uri == f"s3://{cloud.bucket}/in box/ü+a b.jpg"
    assert (upload.size, upload.version) == (7, etag.strip('"'))
    assert received.dead_letters == []


def test_through_sns(cloud: Cloud, next_payload: Any):
    cloud.notify_topic()
    cloud.put("a.jpg", b"content")
    received = uploads_of_event(next_payload(message_trigger(**cloud.source)), received_at=1.0)
    assert [upload.uri for upload in received.uploads] == [f"s3://{cloud.bucket}/a.jpg"]
    assert received.dead_letters == []


def test_messages_come_again_until_they_are_acknowledged(cloud: Cloud, next_payload: Any):
    cloud.send(*({"uri": "s3://photos/a.jpg", "size": 7, "version": str(number)} for number in range(12)))
    seen: set[str] = set()
    for _ in range(10):
        payload = next_payload(message_trigger(**cloud.source))
        versions = {upload.version for upload in uploads_of_event(payload, received_at=1.0).uploads}
        if versions <= seen:  # nothing was acknowledged: they have come again
            break
        seen |= versions
    assert len(seen) >= 10
    acknowledged = set()
    while acknowledged != {str(number) for number in range(12)}:
        payload = next_payload(message_trigger(**cloud.source))
        acknowledge(cloud.source, [payload])
        acknowledged |= {upload.version for upload in uploads_of_event(payload, received_at=1.0).uploads}
    left = cloud.sqs.receive_message(QueueUrl=cloud.queue, WaitTimeSeconds=2)
    assert left.get("Messages", []) == []


def test_a_foreign_message_is_a_dead_letter_among_others(cloud: Cloud, next_payload: Any):
    cloud.send("hello", {"uri": "s3://photos/a.jpg", "size": 7, "version": "1"})
    received = uploads_of_event(next_payload(message_trigger(**cloud.source)), received_at=1.0)
    assert len(received.uploads) == 1
    assert received.dead_letters[0].content == "hello"


def test_a_queue_that_is_away_at_the_acknowledgement_fails_nothing(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
):
    payload = {"message_batch": [{"MessageId": "1", "ReceiptHandle": "no handle", "Body": ""}]}
    acknowledge(cloud.source | {"sqs_queue": f"{cloud.queue}-gone"}, [payload])
    assert "come again" in caplog.text
