"""A pipeline that is small enough to be run many times: rows of two numbers times a matrix."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.quarantine import read_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.telemetry.testing import RecordingMetrics

WEIGHTS = np.array([[1, 10], [100, 1000]])


@dataclass
class Pipeline:
    """A CSV file, a model and a workspace in one folder."""

    folder: Path
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)

    def write_rows(self, *rows: Sequence[object]) -> None:
        lines = ["a,b", *(",".join(map(str, row)) for row in rows)]
        (self.folder / "rows.csv").write_text("\n".join(lines) + "\n")

    def write_model(self, weights: np.ndarray = WEIGHTS) -> None:
        linear_model(self.folder / "model.onnx", weights)

    def context(self, **overrides: Any) -> RunContext:
        spec = {
            "source": {
                "uri": str(self.folder / "rows.csv"),
                "format": "csv",
                "columns": ["a", "b"],
                "allow_empty": True,
            },
            "preprocess": {"kind": "tabular"},
            "model": {"uri": str(self.folder / "model.onnx"), "device": "cpu"},
            "postprocess": {"kind": "raw"},
            "execution": {"workers": 1},
        }
        return RunContext(
            spec=load_spec(spec, overrides={key.replace("__", "."): item for key, item in overrides.items()}),
            workspace=Workspace.open(str(self.folder / "work" / "run")),
            metrics=self.metrics,
        )

    def run(self, **overrides: Any) -> tuple[StageReport, ...]:
        """Run all stages; ``execution__shards=2`` sets a value of the spec."""
        return run_pipeline(self.context(**overrides))

    def report(self) -> RunReport:
        return load_run_report(self.context().workspace.root)

    def results(self, context: RunContext | None = None) -> dict[str, list[float]]:
        """Each result by the number of its row, in the order of the files."""
        rows = read_folder(results_folder(context or self.context()))
        return {row["id"].partition("#")[2]: row["output"] for row in rows}

    def quarantine(self) -> list[BadRecord]:
        return read_quarantine(self.context().workspace.quarantine)

    def files(self) -> dict[str, int]:
        """When each file of the workspace, reports apart, was last written."""
        root = self.folder / "work" / "run"
        return {
            str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in sorted(root.rglob("*.*"))
            if path.is_file() and path.parent.name != "reports"
        }


def read_folder(folder: Folder) -> list[dict[str, Any]]:
    names = [name for name in folder.names() if name.endswith(".parquet")]
    return [row for name in names for row in pq.read_table(io.BytesIO(folder.read(name))).to_pylist()]


@pytest.fixture
def make_pipeline() -> Callable[[Path], Pipeline]:
    def make(folder: Path) -> Pipeline:
        folder.mkdir(parents=True, exist_ok=True)
        pipeline = Pipeline(folder)
        pipeline.write_model()
        return pipeline

    return make


@pytest.fixture
def pipeline(make_pipeline: Callable[[Path], Pipeline], tmp_path: Path) -> Pipeline:
    made = make_pipeline(tmp_path)
    made.write_rows(*((number, number + 1) for number in range(6)))
    return made
