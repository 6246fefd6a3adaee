"""DAGs that record what they were given: what the fault run and the integration tests count.

Below ``$RECORD_UPLOADS_ROOT`` each DAG has an inbox and a folder of results of its own.  A result is named by
the upload and the run, so that a task that is tried again replaces its results, and a second run of the same
upload shows.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_aiopt import NewUploadSensor, NewUploadTrigger, TakeUploadsOperator

ROOT = Path(os.environ.get("RECORD_UPLOADS_ROOT", "/nonexistent"))
RETRIES = int(os.environ.get("RECORD_UPLOADS_RETRIES", "1"))
POISON = "poison"
HOLD_S = 60.0


def watch(dag_id: str) -> dict[str, Any]:
    """Return the watch of a DAG."""
    return {"uri": str(ROOT / "inbox" / dag_id), "recursive": True, "reoffer_s": 15.0, "max_batch": 50}


@task
def record(manifest: Any, consumer: str, run: str) -> int:
    """Write a result for every upload; one whose name says so fails.  Wait while there is a file ``hold``."""
    from airflow_provider_aiopt.data.uploads import from_jsonl

    deadline = time.monotonic() + HOLD_S
    while (ROOT / "hold").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    results = ROOT / "results" / consumer
    results.mkdir(parents=True, exist_ok=True)
    uploads = from_jsonl(Path(manifest).read_bytes(), manifest)
    for upload in uploads:
        if POISON in upload.uri:
            raise ValueError(f"{upload.uri} cannot be processed")
        (results / f"{upload.key}.{quote(run, safe='')}").write_text(upload.uri, encoding="utf-8")
    return len(uploads)


COMMON: dict[str, Any] = {
    "catchup": False,
    "is_paused_upon_creation": True,
    "max_active_runs": 4,
    "default_args": {"retries": RETRIES, "retry_delay": timedelta(seconds=1)},
}
IDS = ("{{ dag.dag_id }}", "{{ run_id }}")

trigger = NewUploadTrigger(**watch("by_asset"))
recorded = Asset("recorded_uploads", watchers=[AssetWatcher(name="inbox", trigger=trigger)])

with DAG("by_asset", schedule=[recorded], **COMMON):
    record(TakeUploadsOperator(task_id="take", watch=watch("by_asset")).output, *IDS)

with DAG("by_watch", schedule=None, **COMMON):
    record(TakeUploadsOperator(task_id="take", watch=watch("by_watch")).output, *IDS)

for dag_id, deferrable in (("by_deferred_sensor", True), ("by_sensor", False)):
    with DAG(dag_id, schedule=None, **COMMON):
        sensor = NewUploadSensor(task_id="wait", watch=watch(dag_id), deferrable=deferrable, timeout=120)
        record(sensor.output, *IDS)
