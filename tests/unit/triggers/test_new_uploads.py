from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from upload_watching import make_upload

from airflow_provider_aiopt import NewUploadTrigger
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.triggers import new_uploads
from airflow_provider_aiopt.uploads import watching
from airflow_provider_aiopt.uploads.payloads import read_payload
from airflow_provider_aiopt.uploads.state import open_state

A, B = make_upload("a.jpg"), make_upload("b.jpg")

Script = list[list[Upload] | Exception]


class FakeWatch:
    """Stands in for ``watch``: plays a script at each call, and waits for ever at the end of the last."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.closed = 0

    async def __call__(self, *_: Any, **__: Any) -> AsyncGenerator[list[Upload]]:
        script = self.scripts.pop(0)
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                yield step
            if not self.scripts:
                await asyncio.Event().wait()
        finally:
            self.closed += 1


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Any], FakeWatch]]:
    """Run a trigger over scripts until it made so many events."""
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path))
    monkeypatch.setattr(new_uploads, "_LEAST_PAUSE_S", 0.0)

    def run(count: int, *scripts: Script) -> tuple[list[Any], FakeWatch]:
        watch = FakeWatch(*scripts)
        monkeypatch.setattr(watching, "watch", watch)

        async def collect() -> list[Any]:
            events: Any = NewUploadTrigger("s3://bucket", pattern="*.jpg").run()
            async with asyncio.timeout(30):
                found = [(await anext(events)).payload for _ in range(count)]
            await events.aclose()
            return found

        return asyncio.run(collect()), watch

    return run


def test_every_batch_is_an_event(play: Any, tmp_path: Path) -> None:
    payloads, watch = play(2, [[A], [B]])
    spec = load_watch_spec({"uri": "s3://bucket", "pattern": "*.jpg"})
    state = open_state(spec, default=str(tmp_path / "uploads"))
    assert [read_payload(payload, spec.watch_id, state) for payload in payloads] == [[A], [B]]
    assert watch.closed == 1, "closing the trigger closes the watch"


@pytest.mark.parametrize("end", [[RuntimeError("a bug")], []], ids=["fails", "ends"])
def test_a_watch_that_ends_is_begun_anew(play: Any, end: Script, caplog: pytest.LogCaptureFixture) -> None:
    payloads, watch = play(2, [[A], *end], [[B]])
    assert [payload["count"] for payload in payloads] == [1, 1]
    assert watch.closed == 2


def test_it_is_made_again_of_what_it_serialises_to() -> None:
    trigger = NewUploadTrigger("s3://bucket/in", pattern=["*.jpg", "*.png"], recursive=True, window_s=0.5)
    path, values = trigger.serialize()
    assert path == "airflow_provider_aiopt.triggers.new_uploads.NewUploadTrigger"
    assert values == {
        "uri": "s3://bucket/in",
        "pattern": ["*.jpg", "*.png"],
        "recursive": True,
        "window_s": 0.5,
    }
    assert NewUploadTrigger(**values).spec() == trigger.spec()


def test_whom_a_sensor_watches_for_is_kept() -> None:
    _, values = NewUploadTrigger("/inbox", consumer="dag").serialize()
    assert NewUploadTrigger(**values).consumer == "dag"


def test_a_wrong_parameter_is_an_error_of_the_dag_file() -> None:
    with pytest.raises(SpecError, match="must be an absolute path or a URL"):
        NewUploadTrigger("inbox").serialize()
    with pytest.raises(SpecError, match="max_batch"):
        NewUploadTrigger("/inbox", max_batch=0).serialize()


def test_airflow_can_serialise_a_watched_asset() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    trigger = NewUploadTrigger("/inbox", pattern="*.jpg")
    with DAG("dag", schedule=[Asset("a", watchers=[AssetWatcher(name="w", trigger=trigger)])]) as dag:
        pass
    assert "/inbox" in str(DagSerialization.to_dict(dag))
