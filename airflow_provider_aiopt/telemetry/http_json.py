"""JSON over HTTP with the standard library alone: the runtime image has no HTTP client of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from airflow_provider_aiopt.exceptions import AirflowApiError

_MAX_BYTES = 32 * 1024 * 1024
_EXCERPT = 200

_REMEDIES = {
    401: "Give a valid token, or a user name and password",
    # Airflow answers 403 to a token that is invalid or has expired, too.
    403: "Get a new token, or ask for access to what was asked for",
    404: "Check the URL (with its path prefix, without /api/v2)",
}


class _NoRedirects(HTTPRedirectHandler):
    """Follow no redirect: it could carry the token to another host, or turn a POST into a GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = build_opener(_NoRedirects)


def http_json(
    method: str,
    url: str,
    *,
    token: str | None = None,
    body: Mapping[str, Any] | None = None,
    timeout_s: float,
    remedies: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Send a request and return the JSON object of its answer; see :func:`exchange_json`."""
    answer, _ = exchange_json(method, url, token=token, body=body, timeout_s=timeout_s, remedies=remedies)
    return answer


def exchange_json(
    method: str,
    url: str,
    *,
    token: str | None = None,
    body: Mapping[str, Any] | None = None,
    timeout_s: float,
    remedies: Mapping[int, str] | None = None,
) -> tuple[dict[str, Any], Message]:
    """Send a request and return the JSON object of its answer, and the answer's headers.

    :param method: the HTTP method
    :param url: an ``http`` or ``https`` address
    :param token: bearer token
    :param body: sent as JSON
    :param timeout_s: seconds to wait for the connection and for each read
    :param remedies: what to do about an HTTP status, where this request knows better than the defaults
    :raises AirflowApiError: where the server cannot be reached, refuses, or answers no JSON object
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise AirflowApiError(f"{url} is not an http:// or https:// address. Give Airflow's as in a browser")
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    try:
        request = Request(url, data=data, headers=headers, method=method)  # noqa: S310 - checked above
        with _OPENER.open(request, timeout=timeout_s) as response:
            content, answered = response.read(_MAX_BYTES + 1), response.headers
    except HTTPError as error:
        with error:
            raise _refused(method, url, error, {**_REMEDIES, **(remedies or {})}) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(method, url, error, timeout_s) from error
    return _json_object(method, url, content), answered


def _refused(method: str, url: str, error: HTTPError, remedies: Mapping[int, str]) -> AirflowApiError:
    try:
        answer = error.read(_EXCERPT * 4).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):
        answer = ""
    said = f": {answer[:_EXCERPT]}" if answer and not answer.startswith("<") else ""
    remedy = remedies.get(error.code, "Look into the API server's log")
    if location := error.headers.get("Location"):
        remedy = f"It redirects to {location}: give that server's address as Airflow's URL"
    message = f"{method} {url} answered HTTP {error.code} {error.reason}{said}. {remedy}"
    return AirflowApiError(message, error.code)


def _unreachable(method: str, url: str, error: Exception, timeout_s: float) -> AirflowApiError:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        reason = f"no answer within {timeout_s:g} s"
    return AirflowApiError(
        f"{method} {url} failed: {reason or type(error).__name__}. "
        "Check that Airflow's API server runs and is reachable from here under this URL"
    )


def _json_object(method: str, url: str, content: bytes) -> dict[str, Any]:
    if len(content) > _MAX_BYTES:
        raise AirflowApiError(
            f"{method} {url} answered more than {_MAX_BYTES} bytes: that is not Airflow's API"
        )
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        excerpt = content[:_EXCERPT].decode("utf-8", "replace")
        raise AirflowApiError(
            f"{method} {url} answered something that is not a JSON object: {excerpt!r}. Check that the URL "
            "is that of Airflow itself, not of a login page or proxy before it"
        )
    return value
