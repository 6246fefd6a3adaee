import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications import MAX_MESSAGE_BYTES, Message, read_message

NOW = 1_800_000_000.0


def read(value: Any, **options: Any) -> list[Upload]:
    body = value if isinstance(value, str) else json.dumps(value)
    uploads, faults = read_message(Message(body, "a test", **options), seen_at=NOW)
    assert not faults
    return uploads


def s3_record(
    key: str = "in/a+b%C3%BC.jpg", event: str = "ObjectCreated:Put", **changes: Any
) -> dict[str, Any]:
    described = {
        "key": key,
        "size": 7,
        "eTag": "d41d8cd9",
        "versionId": "v1",
        "sequencer": "0055AE",
    } | changes
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"bucket": {"name": "photos"}, "object": described},
    }


GCS_ATTRIBUTES = {
    "eventType": "OBJECT_FINALIZE",
    "payloadFormat": "JSON_API_V1",
    "bucketId": "photos",
    "objectId": "in/a b.jpg",
    "objectGeneration": "1579287380533984",
}
GCS_OBJECT = {"kind": "storage#object", "name": "in/a b.jpg", "size": "7", "generation": "1579287380533984"}
S3_UPLOAD = Upload("s3://photos/in/a bü.jpg", 7, "d41d8cd9", NOW)
GCS_UPLOAD = Upload("gs://photos/in/a b.jpg", 7, "1579287380533984", NOW)
BLOB = {
    "topic": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a",
    "subject": "/blobServices/default/containers/photos/blobs/in/a b.jpg",
    "eventType": "Microsoft.Storage.BlobCreated",
    "data": {
        "api": "PutBlob",
        "eTag": "0x8D4BCC2E4835CD0",
        "contentLength": 7,
        "url": "https://a/photos/in/a b.jpg",
    },
}


def in_base64(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


class TestS3:
    def test_a_record(self):
        assert read({"Records": [s3_record()]}) == [S3_UPLOAD]

    def test_through_sns(self):
        envelope = {
            "Type": "Notification",
            "TopicArn": "arn:aws:sns:1",
            "Message": json.dumps({"Records": [s3_record()]}),
        }
        assert read(envelope) == [S3_UPLOAD]

    def test_through_event_bridge_whose_keys_are_not_encoded(self):
        described = {"key": "in/a bü.jpg", "size": 7, "etag": "d41d8cd9", "sequencer": "0055AE"}
        event = {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": "photos"}, "object": described},
        }
        assert read(event) == [S3_UPLOAD]
        assert read(event | {"detail-type": "Object Deleted"}) == []

    def test_servers_that_write_the_event_with_a_prefix_and_the_etag_in_quotes(self):
        assert read({"Records": [s3_record(event="s3:ObjectCreated:Copy", eTag='"d41d8cd9"')]}) == [S3_UPLOAD]

    @pytest.mark.parametrize(
        "event", ["ObjectRemoved:Delete", "ObjectRestore:Post", "LifecycleExpiration:Delete"]
    )
    def test_other_events_tell_of_no_upload(self, event: str):
        assert read({"Records": [s3_record(event=event)]}) == []

    def test_the_test_event_and_folders_tell_of_none(self):
        assert read({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}) == []
        assert read({"Records": [s3_record("in/folder/", size=0)]}) == []

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"key": "%FF"}, "no UTF-8"),
            ({"key": ""}, "s3.object.key must be a text"),
            ({"key": "a%00b"}, "NUL"),
            ({"eTag": None}, "eTag must be a text"),
            ({"size": -1}, "size must be a size in bytes"),
            ({"size": 2**63}, "size must be a size in bytes"),
            ({"size": True}, "size must be a size in bytes"),
        ],
    )
    def test_a_bad_record_costs_no_other(self, changes: dict[str, Any], fault: str):
        body = json.dumps({"Records": [s3_record(**changes), s3_record()]})
        uploads, faults = read_message(Message(body, "a test"), seen_at=NOW)
        assert uploads == [S3_UPLOAD]
        assert len(faults) == 1
        assert fault in faults[0]


class TestGoogle:
    def test_with_a_description(self):
        assert read(in_base64(GCS_OBJECT), attributes=GCS_ATTRIBUTES, is_base64=True) == [GCS_UPLOAD]

    def test_without_one_the_size_is_not_known(self):
        found = read("", attributes=GCS_ATTRIBUTES | {"payloadFormat": "NONE"}, is_base64=True)
        assert found == [Upload(GCS_UPLOAD.uri, 0, GCS_UPLOAD.version, NOW)]

    @pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"])
    def test_other_events_tell_of_no_upload(self, event: str):
        attributes = GCS_ATTRIBUTES | {"eventType": event}
        assert read(in_base64(GCS_OBJECT), attributes=attributes, is_base64=True) == []

    def test_pushed_through_another_queue(self):
        message = {"data": in_base64(GCS_OBJECT), "attributes": GCS_ATTRIBUTES, "messageId": "1"}
        assert read({"message": message, "subscription": "projects/p/subscriptions/s"}) == [GCS_UPLOAD]

    def test_an_unknown_event_is_a_fault(self):
        message = Message("", "a test", GCS_ATTRIBUTES | {"eventType": "NEW"}, is_base64=True)
        assert "OBJECT_FINALIZE" in read_message(message, seen_at=NOW).faults[0]

    def test_a_description_alone_does_not_tell_creation_from_deletion(self):
        with pytest.raises(NotificationError, match="no notification of a known format"):
            read(GCS_OBJECT)


class TestAzure:
    UPLOAD = Upload("abfs://photos/in/a b.jpg", 7, "0x8D4BCC2E4835CD0", NOW)

    def test_a_list_of_events(self):
        assert read([BLOB, BLOB | {"eventType": "Microsoft.Storage.BlobDeleted"}]) == [self.UPLOAD]

    def test_a_cloud_event(self):
        event = {key: value for key, value in BLOB.items() if key != "eventType"}
        assert read(event | {"specversion": "1.0", "type": "Microsoft.Storage.BlobCreated"}) == [self.UPLOAD]

    def test_a_file_that_is_not_yet_written(self):
        assert read(BLOB | {"data": BLOB["data"] | {"api": "CreateFile", "contentLength": 0}}) == []

    def test_the_validation_of_a_subscription(self):
        assert read([BLOB | {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent"}]) == []

    def test_a_subject_of_something_else(self):
        message = Message(json.dumps(BLOB | {"subject": "/elsewhere"}), "a test")
        assert "subject must be" in read_message(message, seen_at=NOW).faults[0]


class TestPlain:
    def test_one_and_several(self):
        one = {"uri": "s3://photos/a.jpg", "size": 7, "version": "1"}
        upload = Upload("s3://photos/a.jpg", 7, "1", NOW)
        assert read(one) == [upload]
        assert read([one, one | {"seen_at": "x", "more": 1}]) == [upload, upload]

    @pytest.mark.parametrize(
        "change",
        [{"uri": ""}, {"uri": "\ud800"}, {"uri": "a\0"}, {"size": 1.5}, {"size": None}, {"version": ""}],
    )
    def test_a_bad_value_is_a_fault(self, change: dict[str, Any]):
        body = json.dumps({"uri": "s3://photos/a.jpg", "size": 7, "version": "1"} | change)
        uploads, faults = read_message(Message(body, "a test"), seen_at=NOW)
        assert not uploads
        assert len(faults) == 1

    def test_bytes_of_local_names_survive(self):
        (upload,) = read({"uri": "/in/\udcff.jpg", "size": 1, "version": "1"})
        assert upload.key


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "has no text"),
        (b"{}", "has no text"),
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"uri": NaN}', "NaN is no number"),
        ("9" * 5000, "no JSON|known format"),
        ("[" * 200_000, "nested too deeply|no JSON"),
        ("null", "known format"),
        ("[]", "known format"),
        ('{"Records": []}', "known format"),
        ('{"hello": "world"}', "known format"),
        ("x" * (MAX_MESSAGE_BYTES + 1), "longer than"),
        ("ü" * (MAX_MESSAGE_BYTES // 2 + 1), "longer than"),
        ('{"TopicArn": "a", "Type": "SubscriptionConfirmation"}', "message of SNS itself"),
        ('{"TopicArn": "a", "Type": "Notification"}', "has no text"),
    ],
)
def test_what_is_no_notification(body: Any, reason: str):
    with pytest.raises(NotificationError, match=reason):
        read_message(Message(body, "a test"), seen_at=NOW)


def test_envelopes_have_an_end():
    body = json.dumps({"uri": "s3://photos/a.jpg", "size": 7, "version": "1"})
    for _ in range(5):
        body = json.dumps({"TopicArn": "a", "Type": "Notification", "Message": body})
    with pytest.raises(NotificationError, match="envelopes"):
        read_message(Message(body, "a test"), seen_at=NOW)


@pytest.mark.parametrize("body", ["*", "/w==", "a"])
def test_what_is_no_base64_of_text(body: str):
    with pytest.raises(NotificationError, match="base64"):
        read_message(Message(body, "a test", is_base64=True), seen_at=NOW)


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
KNOWN_KEYS = st.sampled_from(
    ["Records", "s3", "object", "bucket", "name", "key", "size", "eTag", "eventName", "uri", "version",
     "source", "detail-type", "detail", "Type", "TopicArn", "Message", "message", "attributes",
     "subscription",
     "data", "eventType", "type", "subject", "Event"]
)  # fmt: skip
KNOWN_TEXTS = st.sampled_from(
    [
        "aws.s3",
        "Object Created",
        "ObjectCreated:Put",
        "Notification",
        "Microsoft.Storage.BlobCreated",
        "s3:TestEvent",
    ]
)
VALUES = st.recursive(
    SCALARS | KNOWN_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KNOWN_KEYS | TEXTS, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES, st.dictionaries(KNOWN_KEYS | st.sampled_from(list(GCS_ATTRIBUTES)), VALUES, max_size=5))
def test_whatever_is_sent_is_read_or_refused(value: Any, attributes: dict[str, Any]):
    check(Message(json.dumps(value), "a test", attributes))


@given(st.text(max_size=50) | st.binary(max_size=50), st.booleans())
def test_whatever_text_is_sent_is_read_or_refused(body: Any, is_base64: bool):
    check(Message(body, "a test", is_base64=is_base64))


@given(st.data())
def test_a_real_notification_with_one_value_replaced_is_read_or_refused(data: st.DataObject):
    whole = json.loads(json.dumps(data.draw(st.sampled_from([{"Records": [s3_record()]}, [BLOB]]))))
    place, key = whole, data.draw(st.sampled_from(list(keys(whole))))
    while isinstance(place[key], dict | list) and data.draw(st.booleans()):
        place, key = place[key], data.draw(st.sampled_from(list(keys(place[key]))))
    place[key] = data.draw(VALUES)
    check(Message(json.dumps(whole), "a test"))


def keys(value: Any) -> Any:
    return value.keys() if isinstance(value, dict) else range(len(value))


def check(message: Message) -> None:
    try:
        uploads, faults = read_message(message, seen_at=NOW)
    except NotificationError:
        return
    for upload in uploads:
        assert Upload.from_dict(json.loads(json.dumps(upload.to_dict()))) == upload
        assert upload.key
        assert upload.version
    assert all(faults)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda key: not key.endswith("/")
    )
)
def test_every_key_of_s3_comes_back(key: str):
    from urllib.parse import quote_plus

    (upload,) = read({"Records": [s3_record(quote_plus(key))]})
    assert upload.uri == f"s3://photos/{key}"
