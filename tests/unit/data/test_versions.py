from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.data.versions import local_version, remote_version, version_of


@pytest.mark.parametrize(
    ("info", "version", "upload"),
    [
        ({"ETag": '"abc"', "LastModified": "now", "size": 5}, '"abc"', "abc"),
        ({"etag": "x", "generation": "17", "size": 5}, "17", "17"),
        ({"mtime": 12.5, "size": 5}, "12.5", "12.5-5"),
        ({"size": 5}, "", "-5"),
    ],
)
def test_what_tells_versions_apart(info: dict[str, Any], version: str, upload: str) -> None:
    assert version_of(info) == version
    assert remote_version(info) == upload


def test_a_local_file_replaced_by_one_of_equal_size_and_time(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, (0, 0))
    before = local_version((tmp_path / "a").stat())
    (tmp_path / "b").rename(tmp_path / "a")
    assert local_version((tmp_path / "a").stat()) != before
