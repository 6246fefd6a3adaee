"""The doctor's HTTP requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from redis_server import free_port

from airflow_provider_aiopt.doctor.http import http
from airflow_provider_aiopt.exceptions import DoctorError

pytestmark = pytest.mark.integration


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/forbidden":
            self.send_error(403)
            return
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            return
        if self.path == "/hangs":
            threading.Event().wait(1.5)
            return
        self._answer((self.headers["Authorization"] or "nobody").encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(f"{self.headers['Content-Type']}: {body.decode()}".encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers(address: str) -> None:
    assert http(f"http://{address}/") == b"nobody"
    assert http(f"http://{address}/", body=b"x", kind="text/plain") == b"text/plain: x"


def test_a_login_in_the_address_is_sent_and_never_shown(address: str) -> None:
    assert http(with_login(address, "/")) == b"Basic dXNlcjpwQHNz"
    with pytest.raises(DoctorError, match="HTTP 403") as caught:
        http(with_login(address, "/forbidden"))
    assert "p%40ss" not in str(caught.value)


def test_no_redirect_is_followed(address: str) -> None:
    with pytest.raises(DoctorError, match="/elsewhere answered HTTP 302"):
        http(with_login(address, "/elsewhere"))


def test_a_server_that_does_not_answer(address: str) -> None:
    with pytest.raises(DoctorError, match="does not answer: timed out"):
        http(f"http://{address}/hangs", timeout_s=0.2)
    with pytest.raises(DoctorError, match=r"does not answer: .*refused"):
        http(f"http://127.0.0.1:{free_port()}/")


def with_login(address: str, path: str) -> str:
    login = ":".join(["user", "p%40ss"])
    return f"http://{login}@{address}{path}"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "prometheus:9090", ""])
def test_no_address(url: str) -> None:
    with pytest.raises(DoctorError, match="not an http:// or https:// address"):
        http(url)
