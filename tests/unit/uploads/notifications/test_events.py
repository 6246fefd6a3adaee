import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.notifications import DeadLetter, DeadLetters, Selection, uploads_of_event

NOW = 1_800_000_000.0


def sqs(*values: Any) -> dict[str, Any]:
    batch = [{"MessageId": str(number), "Body": json.dumps(value)} for number, value in enumerate(values)]
    return {"status": "success", "message_batch": batch}


def plain(uri: str, version: str = "1") -> dict[str, Any]:
    return {"uri": uri, "size": 7, "version": version}


def test_good_messages_beside_a_bad_one():
    received = uploads_of_event(sqs(plain("s3://b/a"), "nonsense", plain("s3://b/c")), received_at=NOW)
    assert [upload.uri for upload in received.uploads] == ["s3://b/a", "s3://b/c"]
    (letter,) = received.dead_letters
    assert letter.origin == "SQS message 1"
    assert letter.content == '"nonsense"'
    assert letter.received_at == NOW


def test_the_same_version_twice_is_one_upload():
    received = uploads_of_event(
        sqs(plain("s3://b/a"), plain("s3://b/a"), plain("s3://b/a", "2")), received_at=NOW
    )
    assert [upload.version for upload in received.uploads] == ["1", "2"]


def test_a_foreign_payload_is_a_dead_letter():
    received = uploads_of_event(True, received_at=NOW)
    assert received.uploads == []
    assert received.dead_letters[0].content == "True"


class TestSelection:
    SELECTION = Selection(
        UploadWatchSpec(uri="s3://connection@b/in", pattern=("*.jpg",), recursive=True), "s3://b/in"
    )

    def receive(self, uri: str, selection: Selection | None = None) -> tuple[list[str], list[str]]:
        selected = uploads_of_event(sqs(plain(uri)), received_at=NOW, selection=selection or self.SELECTION)
        return [upload.uri for upload in selected.uploads], [
            letter.reason for letter in selected.dead_letters
        ]

    @pytest.mark.parametrize("uri", ["s3://b/in/a.jpg", "s3a://b/in/a.jpg"])
    def test_what_the_watch_looks_for(self, uri: str):
        assert self.receive(uri) == (["s3://b/in/a.jpg"], [])

    @pytest.mark.parametrize("name", ["a.png", ".a.jpg", "_temporary/a.jpg", "a.jpg.tmp"])
    def test_what_it_does_not_look_for_is_no_fault(self, name: str):
        assert self.receive(f"s3://b/in/{name}") == ([], [])

    @pytest.mark.parametrize(
        "uri",
        [
            "s3://b/other/a.jpg",
            "s3://b/in2/a.jpg",
            "s3://b/in/../a.jpg",
            "s3://b/in//a.jpg",
            "s3://b/in",
            "s3://c/in/a.jpg",
            "gs://b/in/a.jpg",
            "/etc/passwd",
        ],
    )
    def test_what_lies_elsewhere_is_a_dead_letter(self, uri: str):
        uploads, reasons = self.receive(uri)
        assert uploads == []
        assert "below the watched s3://b/in" in reasons[0]

    def test_sub_folders_only_if_asked_for(self):
        flat = Selection(UploadWatchSpec(uri="s3://b/in"), "s3://b/in")
        assert self.receive("s3://b/in/x/a.jpg", flat) == ([], [])

    def test_local_folders_are_named_as_their_listing_names_them(self, tmp_path: Path):
        selection = Selection.of(UploadWatchSpec(uri=str(tmp_path)))
        expected = [f"file://{tmp_path}/a.jpg"]
        assert self.receive(f"{tmp_path}/a.jpg", selection) == (expected, [])
        assert self.receive(f"file://{tmp_path}/a.jpg", selection) == (expected, [])


class TestDeadLetters:
    def test_kept_once_however_often_a_task_is_tried(self, tmp_path: Path):
        kept = DeadLetters(Folder.open(str(tmp_path)))
        letter = DeadLetter.of("broken", "SQS message 1", "\ud800\n", NOW)
        uri = kept.keep([letter])
        assert kept.keep([DeadLetter.of("broken", "SQS message 1", "\ud800\n", NOW + 60)]) == uri
        (found,) = kept.read()
        assert (found.reason, found.content) == ("broken", "\ud800\n")

    def test_none_make_no_file(self, tmp_path: Path):
        kept = DeadLetters(Folder.open(str(tmp_path)))
        assert kept.keep([]) is None
        assert list(tmp_path.iterdir()) == []

    def test_long_messages_are_cut(self):
        assert len(DeadLetter.of("long", "one", "x" * 100_000, NOW).content) == 16 * 1024

    def test_what_is_nested_too_deeply_is_kept_without_content(self):
        nested: list[Any] = []
        for _ in range(200_000):
            nested = [nested]
        received = uploads_of_event(nested, received_at=NOW)
        assert "nested too deeply" in received.dead_letters[0].content
        while nested:  # freeing it by itself would recurse
            nested = nested.pop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["message_batch", "message", "Body", "MessageId", "data", "attributes", "topic", "partition",
             "offset", "value", "channel", "stream", "entries", "id", "fields", "fault"]
        ),
        inner,
        max_size=5,
    ),
)  # fmt: skip


@given(JSON)
def test_no_payload_is_an_error(payload: Any):
    received = uploads_of_event(payload, received_at=NOW)
    for letter in received.dead_letters:
        assert letter.reason
        json.dumps([letter.reason, letter.origin, letter.content])
