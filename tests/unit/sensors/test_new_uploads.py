from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow_fakes import FakeTaskInstance, task_context
from upload_watching import make_upload

from airflow_provider_aiopt import NewUploadSensor, NewUploadTrigger
from airflow_provider_aiopt.data.uploads import Upload, from_jsonl
from airflow_provider_aiopt.sensors import new_uploads
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.uploads import watching
from airflow_provider_aiopt.uploads.payloads import make_payload
from airflow_provider_aiopt.uploads.state import UploadState, open_state

A, B = make_upload("a.jpg"), make_upload("b.jpg")
WATCH = {"uri": "s3://bucket", "pattern": "*.jpg"}


@pytest.fixture(autouse=True)
def _deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path))


@pytest.fixture
def state(tmp_path: Path) -> UploadState:
    return open_state(load_watch_spec(WATCH), default=str(tmp_path / "uploads"))


def sensor(**arguments: Any) -> NewUploadSensor:
    return NewUploadSensor(task_id="wait", **({"watch": WATCH} | arguments))


def context(run_id: str = "run") -> Any:
    return task_context(FakeTaskInstance("wait", run_id=run_id))


def event(state: UploadState, *uploads: Upload) -> dict[str, Any]:
    return make_payload(load_watch_spec(WATCH), uploads, state)


def read(path: str | None) -> list[Upload]:
    assert path is not None
    return from_jsonl(Path(path).read_bytes(), path)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[Upload]]:
    """What a watch sees, a batch at each call; where there is none, it waits."""
    batches: list[list[Upload]] = []

    async def watch(*_: Any, **__: Any) -> AsyncGenerator[list[Upload]]:
        if not batches:
            await asyncio.Event().wait()
        yield batches.pop(0)

    monkeypatch.setattr(watching, "watch", watch)
    monkeypatch.setattr(new_uploads, "_LISTEN_S", 0.0)
    return batches


class TestDeferred:
    def test_it_waits_in_the_triggerer(self) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            sensor(deferrable=True, timeout=60).execute(context())
        trigger = deferred.value.trigger
        assert isinstance(trigger, NewUploadTrigger)
        assert trigger.spec() == load_watch_spec(WATCH)
        assert trigger.consumer == "dag", "what another DAG has proves nothing for this one"
        assert deferred.value.timeout is not None
        assert deferred.value.timeout.total_seconds() == 60

    def test_what_the_trigger_saw_is_taken(self, state: UploadState) -> None:
        assert read(sensor(deferrable=True).execute_complete(context(), event(state, B, A))) == [A, B]

    def test_where_other_runs_have_all_it_waits_on(self, state: UploadState) -> None:
        state.claims.claim([A], consumer="dag", run_id="another")
        with pytest.raises(TaskDeferred):
            sensor(deferrable=True).execute_complete(context(), event(state, A))

    def test_an_attempt_that_died_behind_its_claims_is_taken_up(self, state: UploadState) -> None:
        task = sensor(deferrable=True)
        task.execute_complete(context(), event(state, A))
        assert read(task.execute(context())) == [A]

    def test_an_attempt_whose_uploads_another_run_got_waits_again(self, state: UploadState) -> None:
        task = sensor(deferrable=True)
        state.claims.claim([A], consumer="dag", run_id="another")
        with pytest.raises(TaskDeferred):
            task.execute_complete(context(), event(state, A))
        with pytest.raises(TaskDeferred):
            task.execute(context())

    def test_the_deployment_says_whether(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not sensor().deferrable
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        assert sensor().deferrable


class TestPoked:
    def test_it_listens_and_takes(self, seen: list[list[Upload]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(new_uploads, "_LISTEN_S", 30.0)
        seen.append([A])
        found = sensor().poke(context())
        assert isinstance(found, PokeReturnValue)
        assert found.is_done
        assert read(found.xcom_value) == [A]

    @pytest.mark.usefixtures("seen")
    def test_where_nothing_comes_it_is_poked_again(self) -> None:
        assert not sensor().poke(context()).is_done

    def test_where_other_runs_have_all_it_is_poked_again(
        self, seen: list[list[Upload]], state: UploadState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(new_uploads, "_LISTEN_S", 30.0)
        state.claims.claim([A], consumer="dag", run_id="another")
        seen.append([A])
        assert not sensor().poke(context()).is_done


def test_the_watch_is_templated() -> None:
    task = sensor(watch={"uri": "{{ params.inbox }}/in", "pattern": ["{{ params.kind }}"]})
    task.render_template_fields({"params": {"inbox": "s3://bucket", "kind": "*.png"}})
    assert task.watch == {"uri": "s3://bucket/in", "pattern": ["*.png"]}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wrong_watch_fails_at_once(deferrable: bool) -> None:
    with pytest.raises(AirflowFailException, match="must be an absolute path or a URL"):
        sensor(watch={"uri": "inbox"}, deferrable=deferrable).execute(context())


def test_airflow_can_serialise_it() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("dag", schedule=None) as dag:
        sensor(deferrable=True)
    DagSerialization.to_dict(dag)
