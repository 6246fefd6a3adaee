from __future__ import annotations

from typing import Any

import airflow.sdk
import airflow.sdk.io
import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.exceptions import StorageError

Call = tuple[str, str | None, dict[str, Any]]


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(conn_id: str) -> object:
        if conn_id != "store":
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return object()

    monkeypatch.setattr(airflow.sdk.Connection, "get", get)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Let Airflow know one connection; returns what it was asked for."""
    calls: list[Call] = []

    def get_fs(scheme: str, conn_id: str | None, options: dict[str, Any]) -> MemoryFileSystem:
        calls.append((scheme, conn_id, options))
        return MemoryFileSystem()

    monkeypatch.setattr(airflow.sdk.io, "get_fs", get_fs)
    return calls


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def get_fs(*_: object) -> None:
        raise error

    monkeypatch.setattr(airflow.sdk.io, "get_fs", get_fs)


def test_a_named_connection_is_airflows_to_open(asked: list[Call]) -> None:
    _, path = resolve_with_connection(
        "memory://bucket/photos", connection="store", storage_options={"anon": True}
    )
    assert path == "/bucket/photos"
    assert asked == [("memory", "store", {"anon": True})]


def test_a_connection_may_stand_in_the_url(asked: list[Call]) -> None:
    _, path = resolve_with_connection("memory://store@bucket/a@b", connection=None, storage_options={})
    assert path == "/bucket/a@b"
    assert asked == [("memory", "store", {})]


@pytest.mark.parametrize("uri", ["memory://bucket/a@b", "/folder/a@b", "a@b"])
def test_other_at_signs_are_names(uri: str, asked: list[Call]) -> None:
    _, path = resolve_with_connection(uri, connection=None, storage_options={})
    assert path.endswith("a@b")
    assert asked == []


def test_a_connection_that_is_missing_is_not_replaced_by_others(asked: list[Call]) -> None:
    with pytest.raises(StorageError, match=r"'stoer' for memory://b .*isn't defined.*AIRFLOW_CONN_STOER"):
        resolve_with_connection("memory://b", connection="stoer", storage_options={})
    assert asked == []


@pytest.mark.parametrize(
    "error",
    [
        AirflowNotFoundException("The conn_id `store` isn't defined"),
        AirflowRuntimeError(ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": "store"})),
    ],
    ids=["not found", "refused by the API"],
)
def test_a_connection_that_is_missing_is_named_with_the_command(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(StorageError, match=r"'store' for s3://b/k .*airflow connections add store"):
        resolve_with_connection("s3://b/k", connection="store", storage_options={})


@pytest.mark.parametrize("error", [ImportError("no s3fs"), ValueError("No filesystem registered")], ids=repr)
def test_a_file_system_that_is_missing_is_named_with_the_pip_command(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(StorageError, match=rf"{error}.*airflow-provider-aiopt\[s3\]"):
        resolve_with_connection("s3://b/k", connection="store", storage_options={})
