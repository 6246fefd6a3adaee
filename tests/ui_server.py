"""A loopback server of the pages and of answers that a test sets, with the headers of the plugin's own."""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import airflow_provider_aiopt

STATIC = Path(airflow_provider_aiopt.__file__).parent / "plugins" / "static"
PREFIX = "/prefix"
"""Airflow's base path in these tests."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_FRAME = """<!doctype html><html class="{theme}"><body><iframe title="tab" width="900" height="700"
sandbox="allow-scripts allow-same-origin allow-forms allow-downloads" src="{page}"></iframe></body></html>"""


def cells(page: Any, table: str) -> list[list[str]]:
    """Return the texts in the body of a page's table, row by row."""
    rows: list[list[str]] = page.evaluate(
        "id => [...document.getElementById(id).tBodies[0].rows]"
        ".map(r => [...r.cells].map(c => c.textContent))",
        table,
    )
    return rows


class Site:
    """What the server answers, and what it was asked.

    :param url: base of the pages, ending in a slash
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self._answers: dict[str, tuple[int, Any]] = {}
        self._frame: str | None = None

    def answer(self, path: str, body: Any, status: int = 200) -> None:
        """Answer requests for the route *path*, or for one with exactly its query, with *body*."""
        self._answers[path] = (status, body)

    def framed(self, page: str, theme: str) -> str:
        """Return the URL of a page that shows *page* in the sandbox that Airflow puts it into."""
        self._frame = _FRAME.format(theme=theme, page=f"{PREFIX}/aiopt/static/{page}")
        return self.url.split(PREFIX, maxsplit=1)[0] + f"{PREFIX}/frame"

    def respond(self, target: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        self.asked.append(target)
        path = unquote(urlsplit(target).path).removeprefix(PREFIX)
        if path == "/frame" and self._frame:
            return 200, "text/html", self._frame.encode()
        if path.startswith("/aiopt/static/"):
            file = STATIC / path.removeprefix("/aiopt/static/")
            if file.is_file():
                return (
                    200,
                    mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                    file.read_bytes(),
                )
        if path.startswith("/dags/"):
            return 200, "text/html", b"<!doctype html><title>Airflow</title>"
        route = path.removeprefix("/aiopt/api")
        missing = (404, {"detail": "no such thing"})
        # An answer for a query of its own comes before that for the route.
        status, body = self._answers.get(f"{route}?{urlsplit(target).query}") or self._answers.get(
            route, missing
        )
        return status, "application/json", json.dumps(body).encode()


@contextmanager
def serve() -> Iterator[Site]:
    """Serve a site on a free port of the loopback address."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = site.respond(self.path)
            self.send_response(HTTPStatus(status))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if "/aiopt/" in self.path:
                self.send_header("Content-Security-Policy", _POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}{PREFIX}/aiopt/static/"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
