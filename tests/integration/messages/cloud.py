"""A bucket whose notifications go to a queue, on a moto server."""

from __future__ import annotations

import json
import uuid

from message_servers import connection


class Cloud:
    """A bucket, a queue and an Airflow connection to both.

    :param endpoint: the server's address
    """

    def __init__(self, endpoint: str) -> None:
        import boto3

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
        extra = {"region_name": "us-east-1", "endpoint_url": endpoint}
        self.connection = connection("aws", login="access-key", password="secret-key", extra=extra)

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

    def send(self, *messages: object) -> None:
        for message in messages:
            body = message if isinstance(message, str) else json.dumps(message)
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def messages(self, kind: str = "ApproximateNumberOfMessages") -> int:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=[kind])
        return int(answer["Attributes"][kind])
