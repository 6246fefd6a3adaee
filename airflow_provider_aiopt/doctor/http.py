"""HTTP requests of the doctor's, with the standard library alone."""

from __future__ import annotations

import base64
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from airflow_provider_aiopt.exceptions import DoctorError

_MAX_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 5.0


class _NoRedirects(HTTPRedirectHandler):
    """Follow no redirect: it could carry the password to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = build_opener(_NoRedirects)


def http(url: str, *, body: bytes | None = None, kind: str = "", timeout_s: float = TIMEOUT_S) -> bytes:
    """Return what a server answers.

    :param url: an ``http`` or ``https`` address; a user name and password in it become basic authentication
    :param body: sent by POST
    :param kind: the body's content type
    :param timeout_s: seconds to wait for the connection and for each read
    :raises DoctorError: where the server cannot be reached, refuses or answers too much
    """
    parts = urlsplit(url)
    shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.scheme not in {"http", "https"}:
        raise DoctorError(f"{shown} is not an http:// or https:// address")
    headers = {"Content-Type": kind} if kind else {}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    try:
        request = Request(shown, data=body, headers=headers)  # noqa: S310 - checked above
        with _OPENER.open(request, timeout=timeout_s) as answer:
            content: bytes = answer.read(_MAX_BYTES + 1)
    except HTTPError as error:
        with error:
            raise DoctorError(f"{shown} answered HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DoctorError(f"{shown} does not answer: {reason or type(error).__name__}") from error
    if len(content) > _MAX_BYTES:
        raise DoctorError(f"{shown} answered more than {_MAX_BYTES // 1024**2} MiB")
    return content
