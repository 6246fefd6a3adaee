from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import KernelFiles


@pytest.fixture
def files(tmp_path: Path) -> KernelFiles:
    return KernelFiles(tmp_path)
