"""The images, and folders that a container's user may write to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from container_images import airflow_image, runtime_image

USER = 50000


@pytest.fixture(scope="session")
def runtime() -> str:
    return runtime_image()


@pytest.fixture(scope="session")
def airflow() -> str:
    return airflow_image()


@pytest.fixture
def volume(tmp_path: Path) -> Callable[[str], Path]:
    """Make a folder that belongs to the image's user, as a pod's volume does by ``fsGroup``."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        os.chown(folder, USER, 0)
        return folder

    return make
