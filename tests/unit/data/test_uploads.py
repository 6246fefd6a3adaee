from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.uploads import Upload, from_jsonl, run_id_for, to_jsonl, upload_key
from airflow_provider_aiopt.exceptions import UploadRecordError

uploads = st.builds(
    Upload,
    uri=st.text(min_size=1),
    size=st.integers(0, 2**60),
    version=st.text(),
    seen_at=st.floats(0, 2e9),
)


@given(st.lists(uploads))
def test_any_name_survives(given: list[Upload]) -> None:
    content = to_jsonl(given)
    assert content.count(b"\n") == len(given)
    assert from_jsonl(content, "here") == given


def test_the_key_tells_uri_and_version_apart() -> None:
    keys = {upload_key("a", "bc"), upload_key("ab", "c"), upload_key("a", "b"), upload_key("a\udcff", "b")}
    assert len(keys) == 4
    assert Upload("a", 1, "b", 0.0).key == Upload("a", 2, "b", 9.0).key == upload_key("a", "b")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"uri": "a"}',
        '{"uri": "", "size": 1, "version": "1"}',
        '{"uri": "a", "size": true, "version": "1"}',
        '{"uri": "a", "size": -1, "version": "1"}',
        '{"uri": "a", "size": 1, "version": 1}',
        '{"uri": "a", "size": 1, "version": "1", "seen_at": "now"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_upload_is_named_by_its_line(line: str) -> None:
    good = json.dumps(Upload("a", 1, "1", 0.0).to_dict())
    with pytest.raises(UploadRecordError, match="the file, line 3, is no upload"):
        from_jsonl(f"{good}\n\n{line}\n".encode(), "the file")


def test_a_run_id_depends_on_the_uploads_alone() -> None:
    one, two = Upload("a", 1, "1", 0.0), Upload("b", 1, "1", 0.0)
    assert run_id_for([one]) == f"upload__{one.key}"
    assert run_id_for([one, two]) == run_id_for([two, one])
    assert run_id_for([one, two]).startswith("uploads__")
    assert run_id_for([one, two]) != run_id_for([one])
