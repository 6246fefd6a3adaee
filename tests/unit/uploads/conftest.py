from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from upload_watching import Driver, Time

from airflow_provider_aiopt.uploads import load_watch_spec


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of an empty folder on a store that is listed, not watched."""
    url = f"memory://{uuid.uuid4().hex}"
    filesystem = fsspec.filesystem("memory")
    filesystem.makedirs(url)
    yield url
    filesystem.rm(url, recursive=True)


@pytest.fixture
def drive(tmp_path: Path, time: Time) -> Any:
    """Make a driver: ``drive(uri, **settings)``."""

    def make(uri: object, **settings: Any) -> Driver:
        values = {"uri": str(uri), "state": str(tmp_path / "state"), **settings}
        return Driver(load_watch_spec(values), time)

    return make
