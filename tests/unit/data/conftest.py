from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from airflow_provider_aiopt.data.folder import Folder


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def remote() -> Iterator[str]:
    """The URL of an empty folder on a file system that is not this machine's own."""
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    filesystem = fsspec.filesystem("memory")
    if filesystem.exists(url):
        filesystem.rm(url, recursive=True)


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, remote: str) -> Folder:
    """An empty folder, local and remote in turn."""
    return Folder.open(str(tmp_path / "folder") if request.param == "local" else remote)
