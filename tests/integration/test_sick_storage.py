from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.sick.helpers import beside

pytestmark = pytest.mark.integration


def test_the_slow_storage_lists_and_serves_its_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"no")
    with beside("storage_server", str(folder), "0") as port:
        assert b'href="a.jpg"' in _get(int(port), "/")[1]
        assert _get(int(port), "/a.jpg") == (200, b"picture")
        assert _get(int(port), "/../secret")[0] == 404


def _get(port: int, path: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
