from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec, load_watch_spec


def test_the_watch_is_what_is_watched() -> None:
    spec = load_watch_spec({"uri": "/inbox", "state": "/state"})
    assert load_watch_spec(spec) is spec
    same = {"uri": "file:///inbox/", "max_batch": 3, "existing": "offer", "state": "/other"}
    assert load_watch_spec(same).watch_id == spec.watch_id
    for change in ({"uri": "/inbox2"}, {"pattern": "*.jpg"}, {"recursive": True}):
        assert load_watch_spec({"uri": "/inbox", **change}).watch_id != spec.watch_id


def test_it_travels_as_plain_values() -> None:
    spec = load_watch_spec({"uri": "s3://b/in", "pattern": ["*.jpg"], "storage_options": {"key": "secret"}})
    assert UploadWatchSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert "secret" not in repr(spec)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"uri": "inbox"}, "uri must be an absolute path or a URL"),
        ({"uri": "/a", "state": "state"}, "state must be an absolute path or a URL"),
        ({"uri": "/a", "pattern": "../*"}, "may not leave the watched folder"),
        ({"uri": "/a", "max_batch": 0}, "max_batch: found 0"),
        ({"uri": "/a", "existing": "all"}, "existing: found 'all'"),
        ({"uri": "/a", "windows": 1}, "did you mean 'window_s'"),
        ({}, "uri: missing"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match="The upload watch has") as raised:
        load_watch_spec(values)
    assert message in str(raised.value)


def test_a_manifest_has_no_place_in_a_data_set() -> None:
    source = {"uri": "python:a.b", "format": "python", "manifest": "/m"}
    with pytest.raises(SpecError, match="manifest lists files"):
        load_spec({"source": source, "model": {"uri": "m.onnx"}})
