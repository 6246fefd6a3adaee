"""A storage that takes its time: HTTP on loopback, where each object comes after a wait.

Usage: ``python -m benchmarks.sick.storage_server FOLDER SECONDS``.  It prints its port and serves until its
standard input ends.
"""

from __future__ import annotations

import html
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, wait_s: float, *args: object) -> None:
        self._folder = folder
        self._wait_s = wait_s
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        """Say how large it is."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Send it."""
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""

    def _answer(self, *, body: bool) -> None:
        name = self.path.strip("/")
        if not name:
            self._send(_listing(self._folder), "text/html", body=body)
            return
        path = self._folder / name
        if path.parent != self._folder or not path.is_file():
            self.send_error(404)
            return
        time.sleep(self._wait_s)
        self._send(path.read_bytes(), "application/octet-stream", body=body)

    def _send(self, content: bytes, kind: str, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def _listing(folder: Path) -> bytes:
    names = (html.escape(path.name) for path in sorted(folder.iterdir()))
    links = "\n".join(f'<a href="{name}">{name}</a>' for name in names)
    return f"<html><body>{links}</body></html>".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve."""
    handler = partial(_Handler, Path(sys.argv[1]).resolve(), float(sys.argv[2]))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
