from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model


@pytest.fixture
def write_pipeline() -> Callable[[Path], dict[str, Any]]:
    """Write four rows and a model that adds them up; returns the spec, for two shards."""

    def write(folder: Path) -> dict[str, Any]:
        (folder / "rows.csv").write_text("a,b\n" + "".join(f"{number},1\n" for number in range(4)))
        linear_model(folder / "model.onnx", np.ones((2, 1)))
        return {
            "name": "sums",
            "source": {"uri": str(folder / "rows.csv"), "format": "csv", "columns": ["a", "b"]},
            "preprocess": {"kind": "tabular"},
            "model": {"uri": str(folder / "model.onnx")},
            "execution": {"shards": 2, "workers": 1},
        }

    return write
