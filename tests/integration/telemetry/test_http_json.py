from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry.http_json import http_json

pytestmark = pytest.mark.integration

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(status: int, content: bytes, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


class Server:
    def __init__(self) -> None:
        self.answer = reply(200, b"{}")
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                outer.asked.append((self.path, dict(self.headers), self.rfile.read(length)))
                outer.answer(self)

            do_POST = do_GET  # noqa: N815 - the name is the base class's

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_a_json_object_comes_back(server: Server) -> None:
    server.answer = reply(200, b'{"a": 1}')

    assert http_json("GET", f"{server.url}/x?y=1", token="secret", timeout_s=5) == {"a": 1}
    path, headers, _ = server.asked[0]
    assert (path, headers["Authorization"]) == ("/x?y=1", "Bearer secret")


def test_a_body_is_sent_as_json(server: Server) -> None:
    server.answer = reply(201, b'{"access_token": "t"}')

    http_json("POST", server.url, body={"username": "ü"}, timeout_s=5)

    _, headers, body = server.asked[0]
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"username": "ü"}


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "Give a valid token, or a user name and password"),
        (403, "Get a new token, or ask for access to what was asked for"),
        (404, "Check the URL"),
        (500, "Look into the API server's log"),
    ],
)
def test_a_refusal_names_status_url_reason_and_remedy(server: Server, status: int, remedy: str) -> None:
    server.answer = reply(status, b'{"detail": "because"}')

    with pytest.raises(AirflowApiError) as caught:
        http_json("GET", f"{server.url}/x", token="secret", timeout_s=5)

    message = str(caught.value)
    assert message.startswith(f"GET {server.url}/x answered HTTP {status} ")
    assert "because" in message
    assert remedy in message
    assert "secret" not in message
    assert caught.value.status == status


def test_a_request_may_know_a_better_remedy(server: Server) -> None:
    server.answer = reply(403, b"{}")

    with pytest.raises(AirflowApiError, match="Ask for pools"):
        http_json("GET", server.url, timeout_s=5, remedies={403: "Ask for pools"})


def test_an_html_error_page_is_not_quoted(server: Server) -> None:
    server.answer = reply(502, b"<html>bad gateway</html>")

    with pytest.raises(AirflowApiError) as caught:
        http_json("GET", server.url, timeout_s=5)

    assert "html" not in str(caught.value)


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.answer = reply(307, b"", Location="http://elsewhere.invalid/login")

    with pytest.raises(AirflowApiError, match=r"redirects to http://elsewhere\.invalid/login: give that"):
        http_json("GET", server.url, token="secret", timeout_s=5)

    assert len(server.asked) == 1


@pytest.mark.parametrize("content", [b"<!doctype html><title>Sign in</title>", b"[1]", b"", b"\xff"])
def test_what_is_no_json_object_is_an_error(server: Server, content: bytes) -> None:
    server.answer = reply(200, content)

    with pytest.raises(AirflowApiError, match=r"not a JSON object.*not of a login page"):
        http_json("GET", server.url, timeout_s=5)


def test_a_refused_connection_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(AirflowApiError, match=r"refused\. Check that Airflow's API server runs"):
            http_json("GET", url, timeout_s=5)


def test_a_silent_server_is_given_up(server: Server) -> None:
    server.answer = lambda _: time.sleep(0.5)

    with pytest.raises(AirflowApiError, match=r"no answer within 0\.1 s"):
        http_json("GET", server.url, timeout_s=0.1)


def test_a_connection_closed_without_an_answer_is_an_error(server: Server) -> None:
    server.answer = lambda _: None

    with pytest.raises(AirflowApiError, match=r"failed: .*without response"):
        http_json("GET", server.url, timeout_s=5)


def test_an_endless_answer_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_aiopt.telemetry.http_json._MAX_BYTES", 10)
    server.answer = reply(200, b'{"a": "' + b"x" * 100 + b'"}')

    with pytest.raises(AirflowApiError, match="more than 10 bytes"):
        http_json("GET", server.url, timeout_s=5)
