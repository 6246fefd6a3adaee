from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from direct_route import watch_of
from hypothesis import given
from hypothesis import strategies as st
from upload_watching import make_upload

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.uploads.payloads import INLINE_BYTES, make_payload, prune_lists, read_payload
from airflow_provider_aiopt.uploads.state import open_state

FEW = [make_upload("a.jpg"), make_upload("line\nbreak 🎞.jpg")]
MANY = [make_upload(f"{number:05d}.jpg") for number in range(1000)]


def carried(payload: dict[str, Any]) -> Any:
    """Return the payload as it comes out of Airflow's database."""
    return json.loads(json.dumps(payload))


@pytest.mark.parametrize("uploads", [FEW, MANY], ids=["few", "many"])
def test_what_is_made_is_read(tmp_path: Path, uploads: list[Upload]) -> None:
    spec = watch_of(tmp_path)
    state = open_state(spec)
    payload = carried(make_payload(spec, uploads, state))
    assert read_payload(payload, spec.watch_id, state) == uploads
    assert len(json.dumps(payload)) < INLINE_BYTES + 200
    assert (payload["uri"], payload["count"]) == ("s3://bucket", len(uploads))


@given(size=st.integers(1, 400), length=st.integers(1, 255))
def test_no_payload_exceeds_the_bound(
    tmp_path_factory: pytest.TempPathFactory, size: int, length: int
) -> None:
    spec = watch_of(tmp_path_factory.mktemp("state"))
    uploads = [make_upload(f"{number}{'ü' * length}") for number in range(size)]
    payload = make_payload(spec, uploads, open_state(spec))
    assert len(json.dumps(payload)) < INLINE_BYTES + 200


def test_the_same_list_offered_again_is_one_file(tmp_path: Path) -> None:
    spec = watch_of(tmp_path)
    state = open_state(spec)
    assert make_payload(spec, MANY, state) == make_payload(spec, MANY[::-1], state)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, "found None"),
        ({"watch_id": "another", "uploads": []}, "found {'watch_id': 'another'"),
        ({"uploads": "a.jpg"}, "must be a list of uploads; found 'a.jpg'"),
        ({}, "must be a list of uploads; found None"),
        ({"uploads": [{"uri": "a.jpg"}]}, "An upload is a mapping"),
        ({"list": "../../etc/passwd"}, "must be the name of a kept list"),
        ({"list": 7}, "must be the name of a kept list"),
        ({"list": f"{'0' * 32}.jsonl"}, "is gone"),
    ],
)
def test_what_is_none_says_so(tmp_path: Path, payload: Any, message: str) -> None:
    spec = watch_of(tmp_path)
    if payload is not None:
        payload = {"watch_id": spec.watch_id} | payload
    with pytest.raises(UploadRecordError, match=message):
        read_payload(payload, spec.watch_id, open_state(spec))


def test_old_lists_are_pruned(tmp_path: Path) -> None:
    spec = watch_of(tmp_path)
    state = open_state(spec)
    payload = make_payload(spec, [*MANY, Upload("s3://bucket/new", 1, "1", 500.0)], state)
    assert prune_lists(state, before=500.0) == 0
    assert read_payload(payload, spec.watch_id, state)
    assert prune_lists(state, before=501.0) == 1
    assert prune_lists(state, before=501.0) == 0
    with pytest.raises(UploadRecordError, match="is gone"):
        read_payload(payload, spec.watch_id, state)
