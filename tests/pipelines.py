"""A pipeline over image files whose results are the very pixels that the model was given."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx_models import Node, model_bytes
from PIL import Image

from airflow_provider_aiopt import exceptions
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.quarantine import read_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import read_parquet
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.telemetry.run_report import load_run_report

SIZE = 8
CLI = (sys.executable, "-c", "import sys; from airflow_provider_aiopt.cli.main import main; sys.exit(main())")
"""The command line as another process: ``[*CLI, "run", ...]``."""

_FLOAT = 1  # onnx.TensorProto


def pixel_model(path: Path, *, size: int = SIZE) -> Path:
    """Write a model that answers the pixels of an image, channel by channel."""
    path.write_bytes(
        model_bytes(
            [Node("Cast", ["image"], ["pixels"], {"to": _FLOAT})],
            {"image": ("uint8", ["batch", 3, size, size])},
            {"pixels": ("float32", ["batch", 3, size, size])},
        )
    )
    return path


@dataclass(frozen=True)
class Outcome:
    """What became of a run's records, checked to be each of them exactly once.

    :param rows: results by record id, in order
    :param bad: quarantined records by id
    """

    rows: dict[str, dict[str, Any]]
    bad: dict[str, BadRecord]

    def pixels(self, record_id: str) -> np.ndarray:
        """What the model saw of a record, ``[height, width, channel]``."""
        values = np.array(self.rows[record_id]["output"]).reshape(3, SIZE, SIZE)
        return values.transpose(1, 2, 0)

    def colour(self, record_id: str) -> tuple[int, ...]:
        """The mean colour of what the model saw."""
        return tuple(int(value) for value in self.pixels(record_id).mean(axis=(0, 1)).round())


class Site:
    """A folder with photos, a model, a spec file and the runs over them, staged or streaming."""

    def __init__(self, folder: Path, mode: str = "staged") -> None:
        self.folder = folder
        self.mode = mode
        self.photos = folder / "photos"
        self.photos.mkdir()
        self.model = pixel_model(folder / "model.onnx")
        self.spec = {
            "source": {"uri": str(self.photos)},
            "preprocess": {"kind": "image", "size": SIZE, "crop_fraction": 1.0},
            "model": {"uri": str(self.model), "device": "cpu", "threads": 1},
            "execution": {"workers": 2},
        }

    def add(self, name: str | bytes, content: Image.Image | bytes, kind: str = "PNG", **options: Any) -> Path:
        """Add a photo: an image saved as *kind*, or these bytes."""
        path = self.photos / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encoded(content, kind, **options))
        return path

    def add_plain(self, count: int) -> None:
        """Add *count* good photos, each in a colour of its own."""
        for number in range(count):
            self.add(f"{number:03d}.png", Image.new("RGB", (9, 9), (number, 10, 255 - number)))

    def context(self, run_id: str = "run", **overrides: Any) -> RunContext:
        """A run; ``execution__shards=2`` sets a value of the spec."""
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        workspace = Workspace.open(str(self.folder / "runs" / "pipeline" / run_id))
        return RunContext(spec=load_spec(self.spec, overrides=dotted), workspace=workspace)

    def run(self, run_id: str = "run", **overrides: Any) -> Outcome:
        """Run all stages and account for every record."""
        context = self.context(run_id, **overrides)
        (run_streaming if self.mode == "streaming" else run_pipeline)(context)
        return account(context.workspace.root, results_folder(context))

    def outcome(self, run_id: str = "run") -> Outcome:
        """Account for a run that ended in another process."""
        context = self.context(run_id)
        return account(context.workspace.root, results_folder(context))

    def arguments(self, run_id: str = "run", **overrides: Any) -> list[str]:
        """The command line of such a run, after the program's name."""
        path = self.folder / "spec.json"
        path.write_text(load_spec(self.spec).to_json(), encoding="utf-8")
        settings = [f"--set={key.replace('__', '.')}={value}" for key, value in overrides.items()]
        where = [f"--work-dir={self.folder / 'runs'}", f"--run-id={run_id}"]
        return ["run", str(path), f"--mode={self.mode}", *where, *settings]


def account(workspace: Folder, results: Folder) -> Outcome:
    """Collect results and quarantine of a finished run, and check that no record is lost or there twice."""
    rows = [row for name in results.names() for row in read_parquet(results.read(name)).to_pylist()]
    bad = read_quarantine(workspace.child("quarantine"))
    report = load_run_report(workspace)
    ids = [*(row["id"] for row in rows), *(record.id for record in bad)]
    assert len(ids) == len(set(ids)), "a record is there twice"
    assert report.records_in == report.results + report.quarantined
    assert (report.results, report.quarantined) == (len(rows), len(bad))
    for record in bad:
        assert record.uri
        assert record.message
        assert issubclass(getattr(exceptions, record.error_class), exceptions.RecordError)
    return Outcome({row["id"]: row for row in rows}, {record.id: record for record in bad})


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
