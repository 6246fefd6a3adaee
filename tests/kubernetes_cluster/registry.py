"""A registry of container images, which the node pulls from for real.

It serves what ``podman save --format=oci-dir`` writes, with the part of the OCI Distribution Specification,
1.1, that pulling needs.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

PRIVATE = "private"
"""Names that begin so are refused without a login."""


class Registry:
    """Serves one image under any name but those that it does not have.

    :param layout: the image, as an OCI image layout
    :param name: the one name that it has the image under
    :param address: where it listens
    """

    def __init__(self, layout: Path, name: str, address: str) -> None:
        index = json.loads((layout / "index.json").read_text())
        (self.manifest,) = index["manifests"]
        self.layout, self.name = layout, name
        self._http = ThreadingHTTPServer((address, 0), type("Handler", (_Handler,), {"registry": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://{address}:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0].strip("/").removeprefix("v2").strip("/")
        if not path:
            self._send(200, b"{}", "application/json", body=body)
            return
        name, kind, reference = path.rsplit("/", 2)
        if name.startswith(PRIVATE):
            self._refuse(401, "UNAUTHORIZED", body=body)
        elif name != self.registry.name or kind not in ("manifests", "blobs"):
            self._refuse(404, "NAME_UNKNOWN", body=body)
        else:
            found = self.registry.manifest
            digest = reference if reference.startswith("sha256:") else found["digest"]
            media = found["mediaType"] if kind == "manifests" else "application/octet-stream"
            content = (self.registry.layout / "blobs" / digest.replace(":", "/")).read_bytes()
            self._send(200, content, media, body=body, digest=digest)

    def _refuse(self, status: int, code: str, *, body: bool) -> None:
        content = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self._send(status, content, "application/json", body=body)

    def _send(self, status: int, content: bytes, media: str, *, body: bool, **more: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        if "digest" in more:
            self.send_header("Docker-Content-Digest", more["digest"])
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.end_headers()
        if body:
            self.wfile.write(content)
