"""Empty work: a source of many object names without content, so that only the book-keeping is left.

Every record is listed, enters the manifest, is found empty and goes to quarantine with its reason: the most
book-keeping that a record can cause.  Usage: ``python -m benchmarks.systems.names COUNT``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

import fsspec
import pyarrow.parquet  # noqa: F401 - imported before the clock starts

from airflow_provider_aiopt.data.folder import resolve_filesystem
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_stage
from airflow_provider_aiopt.spec.loading import load_spec
from benchmarks.models import INT8
from benchmarks.systems.work import peak_memory

_PER_FOLDER = 1000


class ManyNames(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """An object store that has nothing but names.

    :param count: how many
    """

    protocol = "names"
    cachable = False

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def find(self, _path: str, **_: Any) -> dict[str, dict[str, Any]]:
        """List all objects, each described as object stores do."""
        return {name: self._describe(name) for name in map(self._name, range(self.count))}

    def cat_file(self, _path: str, **_: Any) -> bytes:
        """Return no content."""
        return b""

    def _name(self, number: int) -> str:
        return f"bucket/photographs/{number // _PER_FOLDER:06d}/{number:09d}.jpg"

    def _describe(self, name: str) -> dict[str, Any]:
        return {"name": name, "size": 0, "type": "file", "ETag": f'"{hash(name):032x}"'}


def measure(count: int) -> dict[str, Any]:
    """Ingest *count* empty objects and return what it took."""
    store = ManyNames(count)

    def resolve(uri: str, **options: Any) -> tuple[Any, str]:
        scheme = "names://"
        if uri.startswith(scheme):
            return store, uri.removeprefix(scheme)
        return resolve_filesystem(uri, **options)

    spec = load_spec(
        {
            "source": {"uri": "names://bucket/photographs", "pattern": "*.jpg", "recursive": True},
            "model": {"uri": INT8},
        }
    )
    before = peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(spec=spec, workspace=Workspace.open(f"{folder}/run"), resolver=resolve)
        began, cpu = time.perf_counter(), time.process_time()
        report = run_stage(context, "ingest").report
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if report.quarantined != count:
        raise RuntimeError(f"{report.quarantined} of {count} empty records are in quarantine")
    return {
        "names": count,
        "seconds": seconds,
        "cpu_s": cpu,
        "peak_memory_bytes": peak_memory(),
        "memory_before_bytes": before,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    print(json.dumps(measure(parser.parse_args().count)))
