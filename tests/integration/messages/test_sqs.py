"""S3's notifications through SQS, both of a real moto server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from components import requires
from message_servers import connection
from moto.server import ThreadedMotoServer

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.triggers.messages import message_trigger
from airflow_provider_aiopt.uploads.notifications import uploads_of_event

pytestmark = pytest.mark.integration
requires("airflow.providers.common.messaging", "pip install 'airflow-provider-aiopt[sqs]'")


class Cloud:
    """A bucket whose notifications go to a queue."""

    def __init__(self, endpoint: str) -> None:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        self.s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
        self.sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
        self.sns = boto3.client("sns", endpoint_url=endpoint, **keys)
        self.bucket = f"photos-{uuid.uuid4().hex}"
        self.queue = self.sqs.create_queue(QueueName=self.bucket)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.queue_arn = attributes["Attributes"]["QueueArn"]
        self.s3.create_bucket(Bucket=self.bucket)
        self.source = {
            "scheme": "sqs",
            "sqs_queue": self.queue,
            "wait_time_seconds": 1,
            "visibility_timeout": 1,
        }

    def notify_queue(self) -> None:
        self._notify("QueueConfigurations", "QueueArn", self.queue_arn)

    def notify_topic(self) -> None:
        topic = self.sns.create_topic(Name=self.bucket)["TopicArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.queue_arn)
        self._notify("TopicConfigurations", "TopicArn", topic)

    def _notify(self, kind: str, name: str, target: str) -> None:
        configuration = {kind: [{name: target, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]}
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration
        )

    def put(self, key: str, content: bytes) -> str:
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)["ETag"])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    extra = {"region_name": "us-east-1", "endpoint_url": endpoint}
    value = connection("aws", login="access-key", password="secret-key", extra=extra)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", value)
    return Cloud(endpoint)


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
    for number in range(12):
        content = json.dumps({"uri": "s3://photos/a.jpg", "size": 7, "version": str(number)})
        cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody=content)
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
    for body in ("hello", json.dumps({"uri": "s3://photos/a.jpg", "size": 7, "version": "1"})):
        cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody=body)
    received = uploads_of_event(next_payload(message_trigger(**cloud.source)), received_at=1.0)
    assert len(received.uploads) == 1
    assert received.dead_letters[0].content == "hello"


def test_a_queue_that_is_away_at_the_acknowledgement_fails_nothing(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
):
    payload = {"message_batch": [{"MessageId": "1", "ReceiptHandle": "no handle", "Body": ""}]}
    acknowledge(cloud.source | {"sqs_queue": f"{cloud.queue}-gone"}, [payload])
    assert "come again" in caplog.text
