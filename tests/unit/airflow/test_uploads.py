from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow_fakes import FakeAssetEvent, FakeDagRun
from direct_route import watch_of
from upload_watching import make_upload

from airflow_provider_aiopt.airflow.uploads import uploads_of_run
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.payloads import CONF_KEY, make_payload
from airflow_provider_aiopt.uploads.state import UploadState, open_state

A, B = make_upload("a.jpg"), make_upload("b.jpg")


@pytest.fixture
def spec(tmp_path: Path) -> UploadWatchSpec:
    return watch_of(tmp_path)


@pytest.fixture
def state(spec: UploadWatchSpec) -> UploadState:
    return open_state(spec)


def events(*payloads: Any) -> dict[str, Any]:
    return {"triggering_asset_events": {"photos": [FakeAssetEvent.carrying(payload) for payload in payloads]}}


def test_the_events_that_airflow_merged_into_one_run(spec: UploadWatchSpec, state: UploadState) -> None:
    context = events(make_payload(spec, [A], state), make_payload(spec, [B], state))
    assert uploads_of_run(context, spec, state) == [A, B]


def test_the_configuration_that_the_direct_route_gives(spec: UploadWatchSpec, state: UploadState) -> None:
    context = {"dag_run": FakeDagRun({CONF_KEY: make_payload(spec, [A], state)})}
    assert uploads_of_run(context, spec, state) == [A]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"triggering_asset_events": None, "dag_run": FakeDagRun({})},
        {"triggering_asset_events": {"photos": [FakeAssetEvent({})]}},
        events(None, True, "a.jpg", {"uploads": []}),
    ],
)
def test_a_run_that_was_started_for_other_things(
    spec: UploadWatchSpec, state: UploadState, context: dict[str, Any]
) -> None:
    assert uploads_of_run(context, spec, state) == []


def test_an_event_that_cannot_be_read_keeps_no_other_from_being_so(
    spec: UploadWatchSpec, state: UploadState, caplog: pytest.LogCaptureFixture
) -> None:
    broken = {"watch_id": spec.watch_id, "uploads": [{"uri": 7}]}
    assert uploads_of_run(events(broken, make_payload(spec, [A], state)), spec, state) == [A]
    assert "An event is passed over: An upload" in caplog.text


class TestAnotherWatch:
    def test_of_the_same_location_is_a_mistake(
        self, tmp_path: Path, spec: UploadWatchSpec, state: UploadState
    ) -> None:
        trigger = watch_of(tmp_path, uri="s3://bucket/", pattern="*.jpg")
        context = events(make_payload(trigger, [A], state))
        with pytest.raises(SpecError, match="another pattern or recursive than this task's") as caught:
            uploads_of_run(context, spec, state)
        assert trigger.watch_id in str(caught.value)
        assert spec.watch_id in str(caught.value)

    def test_of_another_location_is_another_tasks(
        self, tmp_path: Path, spec: UploadWatchSpec, state: UploadState
    ) -> None:
        other = watch_of(tmp_path, uri="s3://elsewhere")
        assert uploads_of_run(events(make_payload(other, [A], state)), spec, state) == []

    def test_beside_ones_own_is_passed_over(
        self, tmp_path: Path, spec: UploadWatchSpec, state: UploadState
    ) -> None:
        other = watch_of(tmp_path, pattern="*.png")
        payloads = (make_payload(other, [A], state), make_payload(spec, [B], state))
        assert uploads_of_run(events(*payloads), spec, state) == [B]
