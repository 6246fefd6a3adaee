from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_aiopt.data.retry import RemoteCalls, is_about_account, is_transient
from airflow_provider_aiopt.exceptions import RecordReadError
from airflow_provider_aiopt.spec import SourceSpec


class ClientError(Exception):
    """As botocore raises it."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class HttpError(Exception):
    """As aiohttp, gcsfs and others raise it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("HTTP")
        self.__dict__.update(attributes)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Flaky:
    """Raises its errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def waits() -> list[float]:
    return []


def calls(waits: list[float], **settings: Any) -> RemoteCalls:
    return RemoteCalls(SourceSpec(uri="s3://b", **settings), sleep=waits.append)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        OSError(16, "SlowDown"),
        RuntimeError("whatever a driver raises"),
        caused(OSError("busy"), ClientError("SlowDown", 503)),
        caused(OSError("broken"), ClientError("InternalError", 500)),
        caused(TimeoutError("idle"), ClientError("RequestTimeout", 400)),
        HttpError(status=429),
        HttpError(code=503),
        HttpError(code="502"),
        HttpError(status_code=504),
        HttpError(response=HttpError(status_code=408)),
        HttpError(code="NoNumber"),
    ],
    ids=repr,
)
def test_what_may_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(),
        PermissionError(),
        IsADirectoryError(),
        TypeError(),
        NotImplementedError(),
        MemoryError(),
        RecordReadError("gone"),
        KeyboardInterrupt(),
        caused(OSError("bad"), ClientError("InvalidRequest", 400)),
        HttpError(status=404),
        HttpError(code=412),
    ],
    ids=repr,
)
def test_what_is_an_answer(error: BaseException) -> None:
    assert not is_transient(error)


def test_what_is_refused_for_every_object() -> None:
    assert is_about_account(caused(PermissionError(), ClientError("ExpiredToken", 400)))
    assert is_about_account(caused(FileNotFoundError(), ClientError("NoSuchBucket", 404)))
    assert is_about_account(caused(PermissionError(), HttpError(status=401)))
    assert not is_about_account(caused(PermissionError(), ClientError("AccessDenied", 403)))
    assert not is_about_account(FileNotFoundError())


def test_errors_that_cause_each_other_end() -> None:
    first, second = OSError("a"), OSError("b")
    caused(first, second)
    caused(second, first)
    assert is_transient(first)


def test_the_waits_double_up_to_the_longest_and_are_random(waits: list[float]) -> None:
    remote = calls(waits, attempts=8, backoff_s=1, max_backoff_s=5)

    assert remote.read(Flaky(*[OSError()] * 7)) == "answer"
    assert remote.retries == len(waits) == 7
    assert all(0 <= wait <= most for wait, most in zip(waits, (1, 2, 4, 5, 5, 5, 5), strict=True))
    assert len(set(waits)) > 1


def test_the_last_error_is_raised(waits: list[float]) -> None:
    remote = calls(waits, attempts=3)
    with pytest.raises(OSError, match="third") as caught:
        remote.list(Flaky(OSError("first"), OSError("second"), OSError("third"), OSError("fourth")))

    assert remote.retries == 2
    assert remote.effort(caught.value) == ", at the last of 3 attempts"


def test_an_answer_is_not_asked_for_again(waits: list[float]) -> None:
    remote = calls(waits)
    with pytest.raises(FileNotFoundError) as caught:
        remote.read(Flaky(FileNotFoundError("gone")))

    assert waits == []
    assert remote.effort(caught.value) == ""


def test_one_attempt_is_no_effort_to_speak_of(waits: list[float]) -> None:
    remote = calls(waits, attempts=1)
    with pytest.raises(OSError, match="busy") as caught:
        remote.read(Flaky(OSError("busy")))

    assert remote.effort(caught.value) == ""


def test_a_call_that_stalls_is_left_and_made_again(waits: list[float]) -> None:
    released = threading.Event()
    stalling = [True, False]

    def call() -> str:
        if stalling.pop(0):
            released.wait(60)
        return "answer"

    try:
        assert calls(waits, read_timeout_s=0.01).read(call) == "answer"
    finally:
        released.set()


def test_a_call_that_always_stalls_says_for_how_long(waits: list[float]) -> None:
    released = threading.Event()
    try:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            calls(waits, attempts=2, list_timeout_s=0.01).list(lambda: released.wait(60))
    finally:
        released.set()


def test_what_fails_at_first_waits_as_long_as_ever(waits: list[float]) -> None:
    call = Flaky(ConnectionError("gone"), ConnectionError("gone"))
    assert calls(waits, attempts=3).again(call) == "answer"
    assert len(waits) == 2
