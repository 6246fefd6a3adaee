"""Pipelines over files with a transform of ``sample_transforms``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx_models import linear_model
from pipelines import Outcome, Site

from airflow_provider_aiopt.runner.context import RunContext

ALLOWED = ("sample_transforms",)


class CustomSite(Site):
    """A folder of files that a custom transform turns into pairs of numbers; the model answers them."""

    def __init__(self, folder: Path, mode: str, transform: str, **settings: Any) -> None:
        super().__init__(folder, mode)
        linear_model(self.model, np.eye(2))
        self.spec |= {
            "preprocess": {"kind": "custom", "transform": f"sample_transforms.{transform}", **settings},
            "execution": {"workers": 2, "batch_size": 4},
        }

    def add_texts(self, *texts: str) -> None:
        """Add a file for each text, named by its number."""
        for number, text in enumerate(texts):
            self.add(f"{number:02d}", text.encode())

    def context(self, run_id: str = "run", **overrides: Any) -> RunContext:
        """A run that may use the transforms."""
        return replace(super().context(run_id, **overrides), allowed_callables=ALLOWED)


def letters(outcome: Outcome) -> dict[str, str]:
    """What the model saw of each good record, as text."""
    return {name: bytes(map(int, row["output"])).decode().rstrip("\0") for name, row in outcome.rows.items()}
