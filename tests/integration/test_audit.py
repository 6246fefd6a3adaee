"""The dependency audit, with an OSV service on loopback, and with none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from airflow_support import REPOSITORY

pytestmark = pytest.mark.integration

FLAW = {
    "id": "PYSEC-2019-217",
    "summary": "sandbox escape",
    "aliases": ["CVE-2019-10906"],
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        flawed = (asked["package"]["name"], asked["version"]) == ("jinja2", "2.10")
        answer = json.dumps({"vulns": [FLAW]} if flawed else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def audit(pins: Path, service: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "audit.py", pins],
        env=os.environ | {"AIOPT_OSV_URL": service, "PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_vulnerable_pin_fails_the_audit(tmp_path: Path, service: str) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("jinja2==2.10\nrich==15.0.0\n")
    ended = audit(pins, service)
    assert ended.returncode == 1, ended.stderr
    assert "jinja2 2.10: PYSEC-2019-217 (CVE-2019-10906), fixed in 2.10.1" in ended.stdout

    pins.write_text("jinja2==3.1.6\nrich==15.0.0\n")
    ended = audit(pins, service, AIOPT_REQUIRE_AUDIT="1")
    assert (ended.returncode, ended.stdout.strip()) == (0, "2 of 2 pins audited: 0 vulnerabilities, 0 waived")


def test_where_nobody_answers_that_is_said(tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("jinja2==2.10\n")
    nowhere = "http://127.0.0.1:9"  # discard: nothing listens there
    ended = audit(pins, nowhere)
    assert ended.returncode == 0
    assert "0 of 1 pins audited" in ended.stdout
    assert "Not audited, so nothing is known" in ended.stdout
    assert audit(pins, nowhere, AIOPT_REQUIRE_AUDIT="1").returncode == 1
