"""Calls of a remote file system: limited in time, made again where that may help, counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, Generic, TypeVar

from airflow_provider_aiopt.data.time_limit import TimeLimit, no_answer
from airflow_provider_aiopt.exceptions import AioptError
from airflow_provider_aiopt.spec.source import SourceSpec

T = TypeVar("T")

_DEFINITE = (
    AioptError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    # No storage says these: they come of how it is called.
    AttributeError,
    ImportError,
    MemoryError,
    NotImplementedError,
    TypeError,
)
_PASSING_STATUSES = frozenset({408, 425, 429})  # timeout, too early, too many requests
_SERVER_ERROR = 500
_UNAUTHENTICATED = 401
# What S3 answers for any object at all while the credentials or the bucket are not what they should be.
_ACCOUNT_CODES = frozenset(
    {
        "AccountProblem",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later.

    Drivers raise what their client libraries do, so that whatever is not a definite answer counts: an HTTP
    status tells where there is one; else all but "not found", "forbidden" and mistakes in calling.
    """
    if not isinstance(error, Exception) or isinstance(error, _DEFINITE):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True  # whatever status it came with: S3's own RequestTimeout has 400
    status = http_status_of(error)
    return status is None or status in _PASSING_STATUSES or status >= _SERVER_ERROR


def http_status_of(error: BaseException) -> int | None:
    """Return the HTTP status that *error*, or what it was raised from, carries; None without one."""
    return next((status for cause in _chain(error) if (status := _http_status(cause))), None)


def is_about_account(error: BaseException) -> bool:
    """Whether the storage refuses the credentials or the bucket, and so every object alike."""
    return any(
        _http_status(cause) == _UNAUTHENTICATED or _error_code(cause) in _ACCOUNT_CODES
        for cause in _chain(error)
    )


class RemoteCalls:
    """Makes calls of one remote file system, on whichever threads.

    :param spec: how long a call may take, how often it is made, and the waits between
    :param sleep: how to wait a number of seconds; default: :func:`time.sleep`
    """

    def __init__(self, spec: SourceSpec, *, sleep: Callable[[float], None] | None = None) -> None:
        self._spec = spec
        self._sleep = sleep
        self._limit = TimeLimit()
        self._lock = threading.Lock()
        self._retries = 0

    @property
    def retries(self) -> int:
        """How many calls were made again so far."""
        return self._retries

    def read(self, call: Callable[[], T]) -> T:
        """Return what *call* does, a read of one object or of a part of it.

        :raises TimeoutError: if the last attempt takes longer than ``source.read_timeout_s``
        :raises Exception: whatever the last attempt raises
        """
        return self._run(lambda: self._limit.within(self._spec.read_timeout_s, call))

    def list(self, call: Callable[[], T]) -> T:
        """Return what *call* does, a listing; each attempt may take ``source.list_timeout_s``.

        :raises TimeoutError: if the last attempt takes longer
        :raises Exception: whatever the last attempt raises
        """
        return self._run(lambda: self._limit.within(self._spec.list_timeout_s, call))

    def again(self, call: Callable[[], T]) -> T:
        """Return what *call* does, on this thread and without a time limit.

        :raises Exception: whatever the last attempt raises
        """
        return self._run(call)

    def cat_file(self, filesystem: Any, path: str) -> bytes:
        """Return the content of one object, as :meth:`read` does.

        :param filesystem: an fsspec file system
        :param path: the object's path within it
        """
        return self._run(lambda: self._cat_file(filesystem, path))

    def keeping_threads(self) -> AbstractContextManager[None]:
        """Let the threads that limit calls in time live as long as the block, which makes many."""
        return self._limit.keeping()

    def effort(self, error: BaseException) -> str:
        """Return, for a message, how often the call was made whose last attempt raised *error*."""
        attempts = self._spec.attempts
        return f", at the last of {attempts} attempts" if attempts > 1 and is_transient(error) else ""

    def _run(self, attempt: Callable[[], T]) -> T:
        # What succeeds at once, as nearly all do, is spared tenacity's book-keeping.
        try:
            return attempt()
        except Exception as error:
            if not is_transient(error):
                raise
            first = error
        result: T = self._retrying(_Replay(first, attempt))
        return result

    def _cat_file(self, filesystem: Any, path: str) -> bytes:
        """Read one object; where the driver can, a read that takes too long is cancelled, not only left."""
        limit_s = self._spec.read_timeout_s
        if not getattr(filesystem, "async_impl", False):
            return bytes(self._limit.within(limit_s, lambda: filesystem.cat_file(path)))
        from fsspec.asyn import sync
        from fsspec.exceptions import FSTimeoutError

        read = filesystem._cat_file  # noqa: SLF001 - what its API documents for coroutines
        try:
            return bytes(sync(filesystem.loop, read, path, timeout=limit_s))
        except FSTimeoutError as error:
            raise no_answer(limit_s) from error

    @cached_property
    def _retrying(self) -> Any:
        import tenacity

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            stop=tenacity.stop_after_attempt(self._spec.attempts),
            wait=tenacity.wait_random_exponential(
                multiplier=self._spec.backoff_s, max=self._spec.max_backoff_s
            ),
            sleep=self._sleep or tenacity.nap.sleep,
            before_sleep=self._count,
            reraise=True,
        )

    def _count(self, _: object) -> None:
        with self._lock:
            self._retries += 1


class _Replay(Generic[T]):
    """An attempt whose first outcome is known."""

    def __init__(self, first: Exception, attempt: Callable[[], T]) -> None:
        self._first: Exception | None = first
        self._attempt = attempt

    def __call__(self) -> T:
        first, self._first = self._first, None
        if first is not None:
            raise first
        return self._attempt()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _http_status(error: BaseException) -> int | None:
    """Return the HTTP status that a client library's error carries, wherever it carries it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # aiohttp; gcsfs; adlfs; requests
        places = ((error, "status"), (error, "code"), (error, "status_code"), (response, "status_code"))
        found = next((value for owner, name in places if (value := getattr(owner, name, None))), None)
    try:
        return int(found) if found is not None else None
    except (TypeError, ValueError):
        return None


def _error_code(error: BaseException) -> str | None:
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
