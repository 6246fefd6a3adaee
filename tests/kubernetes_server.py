"""A Kubernetes of one node on loopback: as much of its API as pods need, and containers that really run.

What it proves: requests, states, events, logs, exec and signals are those that the real client libraries
and the real operator meet, and a stage really runs in a process of its own.  What it does not: no container,
user, cgroup or network is made, and its scheduler and admission know only what is in here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import yaml
from kubernetes_node import Node, PodRun
from kubernetes_objects import Json, Objects, matches, now

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_TEXT, _BINARY, _CLOSE = 1, 2, 8
_STDIN, _STDOUT, _STATUS = 0, 1, 3  # channels of v4.channel.k8s.io
_PATH = re.compile(
    r"^/api/v1(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>[a-z]+))?$"
)
_KINDS = {"pods": "Pod", "events": "Event", "configmaps": "ConfigMap", "nodes": "Node"}
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class FakeKubernetes:
    """The API server, the scheduler and the one node.

    :param folder: where volumes and the kubeconfig go
    :param images: the command that each image of the registry runs
    :param allocatable: what the node has
    :param claims: the folder behind each PersistentVolumeClaim
    :param namespaces: those that there are
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: Mapping[str, Sequence[str]],
        allocatable: Mapping[str, str] | None = None,
        claims: Mapping[str, Path] | None = None,
        namespaces: Sequence[str] = ("default",),
    ) -> None:
        self.folder = folder
        self.objects = Objects()
        self.namespaces = set(namespaces)
        self.forbidden: set[tuple[str, str]] = set()
        self.requests: list[tuple[str, str]] = []
        has = {"cpu": "8", "memory": "16Gi", **(allocatable or {})}
        self.node = Node(self.objects, folder, images=images, allocatable=has, claims=claims or {})
        self.objects.put({"kind": "Node", "metadata": {"name": "node"}, "status": {"allocatable": has}})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def kubeconfig(self) -> Path:
        """A file by which any client finds the cluster."""
        path = self.folder / "kubeconfig"
        named = {"name": "fake"}
        values = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [named | {"cluster": {"server": self.url}}],
            "users": [named | {"user": {"token": "none"}}],
            "contexts": [named | {"context": {"cluster": "fake", "user": "fake"}}],
        }
        path.write_text(yaml.safe_dump(values))
        return path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.node.stop()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def forbid(self, resource: str, verb: str) -> None:
        """Take a permission away from whoever asks."""
        self.forbidden.add((resource, verb))

    def pods(self) -> list[Json]:
        """All pods that there are."""
        return self.objects.all("Pod")

    def created(self, resource: str = "pods") -> int:
        """How many of these were asked for."""
        return self.requests.count((resource, "create"))

    def pods_left(self, *, timeout: float = 60.0) -> list[Json]:
        """All pods, once there is none or a while has passed: what is removed ends in order."""
        deadline = time.monotonic() + timeout
        while (left := self.pods()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def wait_for_run(self, *, timeout: float = 20.0) -> PodRun:
        """Wait until a pod's containers run."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for run in list(self.node.runs.values()):
                if run.running:
                    return run
            time.sleep(0.02)
        raise AssertionError(f"no pod runs: {self.pods()}")


class _Handler(BaseHTTPRequestHandler):
    cluster: FakeKubernetes
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            found = _PATH.match(parts.path)
            self._allow(found)
            assert found is not None
            self._serve(found, query, json.loads(body) if body else {})
        except RefusedError as error:
            status = {
                "status": "Failure",
                "message": str(error),
                "reason": error.reason,
                "code": error.status,
            }
            self._send(error.status, {"kind": "Status", "apiVersion": "v1", **status})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _allow(self, found: re.Match[str] | None) -> None:
        if found is None or found["resource"] not in _KINDS:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        resource = found["resource"] + (f"/{found['part']}" if found["part"] else "")
        verb = "list" if self.command == "GET" and not found["name"] else _VERBS[self.command]
        self.cluster.requests.append((resource, verb))
        if (resource, verb) in self.cluster.forbidden:
            where = (
                f' in the namespace "{found["namespace"]}"' if found["namespace"] else " at the cluster scope"
            )
            user, what = "system:serviceaccount:airflow:worker", f'resource "{resource}" in API group ""'
            raise RefusedError(
                403,
                "Forbidden",
                f'{resource} is forbidden: User "{user}" cannot {verb} {what}{where}',
            )
        namespace = found["namespace"]
        if self.command == "POST" and namespace and namespace not in self.cluster.namespaces:
            raise RefusedError(404, "NotFound", f'namespaces "{namespace}" not found')

    def _serve(self, found: re.Match[str], query: dict[str, str], body: Json) -> None:
        kind, namespace, name, part = (
            _KINDS[found["resource"]],
            found["namespace"],
            found["name"],
            found["part"],
        )
        if part == "log":
            self._log(self._get(kind, namespace, name), query)
        elif part == "exec":
            self._exec(self._get(kind, namespace, name))
        elif self.command == "POST":
            self._send(201, self._create(kind, namespace, body))
        elif self.command == "PATCH":
            self._send(200, self.cluster.objects.patch(self._get(kind, namespace, name), body))
        elif self.command == "DELETE":
            pod = self._get(kind, namespace, name)
            grace = query.get("gracePeriodSeconds", body.get("gracePeriodSeconds"))
            self.cluster.node.delete(pod, None if grace is None else float(grace))
            self._send(200, pod)
        elif name:
            self._send(200, self._get(kind, namespace, name))
        elif query.get("watch", "").lower() == "true":
            self._watch(kind, namespace, query)
        else:
            items = [item for item in self.cluster.objects.all(kind) if matches(item, namespace, query)]
            version = str(self.cluster.objects.version)
            self._send(200, {"kind": f"{kind}List", "metadata": {"resourceVersion": version}, "items": items})

    def _watch(self, kind: str, namespace: str | None, query: dict[str, str]) -> None:
        """Send what is there, and then what comes, until the client has waited for long enough."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        objects, seen = self.cluster.objects, int(query.get("resourceVersion") or 0)
        deadline = time.monotonic() + min(5.0, float(query.get("timeoutSeconds") or 5))
        while time.monotonic() < deadline:
            with objects.changed:
                found = [item for item in objects.all(kind) if matches(item, namespace, query)]
                new = [item for item in found if int(item["metadata"]["resourceVersion"]) > seen]
                if not new:
                    objects.changed.wait(0.1)
            for item in new:
                seen = max(seen, int(item["metadata"]["resourceVersion"]))
                self._chunk(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n")
        self._chunk(b"")

    def _get(self, kind: str, namespace: str, name: str) -> Json:
        found = self.cluster.objects.get(kind, namespace, name)
        if found is None:
            raise RefusedError(404, "NotFound", f'{kind.lower()}s "{name}" not found')
        return found

    def _create(self, kind: str, namespace: str, body: Json) -> Json:
        body["kind"] = kind
        body["metadata"] |= {"namespace": namespace, "creationTimestamp": now()}
        if self.cluster.objects.get(kind, namespace, body["metadata"]["name"]):
            raise RefusedError(
                409, "AlreadyExists", f'{kind.lower()}s "{body["metadata"]["name"]}" already exists'
            )
        if kind == "Pod":
            body["status"] = {"phase": "Pending", "qosClass": "Burstable"}
        made = self.cluster.objects.put(body)
        if kind == "Pod":
            self.cluster.node.take(made)
        return made

    def _send(self, status: int, value: Json) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _log(self, pod: Json, query: dict[str, str]) -> None:
        run = self.cluster.node.runs.get(pod["metadata"]["uid"])
        container = run and run.containers.get(query.get("container") or "base")
        if not container or "waiting" in container.state:
            raise RefusedError(400, "BadRequest", "container is waiting to start")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for moment, line in container.lines(follow=query.get("follow", "").lower() == "true"):
            stamp = f"{moment} " if query.get("timestamps", "").lower() == "true" else ""
            self._chunk(f"{stamp}{line}\n".encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _exec(self, pod: Json) -> None:
        """Run a command beside a container, over a WebSocket as kubelets do."""
        query = parse_qs(urlsplit(self.path).query)
        run = self.cluster.node.runs[pod["metadata"]["uid"]]
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + _GUID).encode()).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        if query.get("stdin", ["false"])[0].lower() == "true":
            for channel, _ in self._frames():
                if channel == _STDIN:
                    run.end_sidecar()
                    break
        else:
            command = [run.rewritten(item, query["container"][0]) for item in query["command"]]
            ended = subprocess.run(command, capture_output=True, check=False)
            self._frame(_BINARY, bytes([_STDOUT]) + ended.stdout)
        self._frame(_BINARY, bytes([_STATUS]) + b'{"status":"Success"}')
        self._frame(_CLOSE, struct.pack(">H", 1000))
        self.close_connection = True

    def _frame(self, kind: int, payload: bytes) -> None:
        length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
        self.wfile.write(bytes([0x80 | kind]) + length + payload)
        self.wfile.flush()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        while head := self.rfile.read(2):
            size = head[1] & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", self.rfile.read(2))
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self.rfile.read(size)))
            if head[0] & 0x0F == _CLOSE:
                return
            if data:
                yield data[0], data[1:]
