"""Uploads as Airflow's tasks and triggers have them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.config import uploads_dir
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.airflow.metrics import AirflowMetrics

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity
    from airflow_provider_aiopt.uploads.state import UploadState

log = logging.getLogger(__name__)

MANIFEST = "uploads.jsonl"
"""File of a run's workspace that lists its uploads."""

_OFFERED = "uploads-offered.jsonl"


def watch_state(spec: UploadWatchSpec, consumer: str | None = None) -> UploadState:
    """Open the state of a watch, by default under ``[aiopt] uploads_dir``.

    :param consumer: the DAG that watches for itself; None: the watch makes events of an asset
    """
    from airflow_provider_aiopt.uploads.state import open_state

    return open_state(spec, default=uploads_dir(), resolver=resolve_with_connection, consumer=consumer)


def uploads_of_run(context: Mapping[str, Any], spec: UploadWatchSpec, state: UploadState) -> list[Upload]:
    """Return the uploads of a watch that a run was started for; none where it was started for other things.

    A run may be due to several events at once, since Airflow merges those that wait for the same DAG, and to
    events of other assets, which are passed over.  An event that cannot be read is logged and passed over,
    too: its uploads are offered again as long as no run has claimed them.

    :param context: the context of one of the run's tasks
    :param spec: the watch
    :param state: its state
    :raises SpecError: if the run was started for uploads of the same location, but by another watch
    """
    from airflow_provider_aiopt.exceptions import UploadRecordError
    from airflow_provider_aiopt.uploads.payloads import read_payload

    payloads = list(_payloads(context))
    ours = [payload for payload in payloads if payload["watch_id"] == spec.watch_id]
    if not ours:
        _check_location(payloads, spec)
    uploads: list[Upload] = []
    for payload in ours:
        try:
            uploads.extend(read_payload(payload, spec.watch_id, state))
        except UploadRecordError as error:
            log.warning("An event is passed over: %s", error)
    return uploads


def send_upload_latency(task: TaskIdentity, uploads: Sequence[Upload]) -> None:
    """Send how long the first of a run's uploads has waited for the run, as a metric."""
    from airflow_provider_aiopt.telemetry.catalogue import UPLOAD_TO_START

    waited_s = max(0.0, time.time() - min(upload.seen_at for upload in uploads))  # whatever the clocks say
    tags = {"dag_id": task.dag_id, "task_id": task.task_id, "stage": "take"}
    AirflowMetrics().timing_ms(UPLOAD_TO_START, waited_s * 1000, tags)


def is_event_run(context: Mapping[str, Any]) -> bool:
    """Whether events of assets have started the run."""
    return bool(context.get("triggering_asset_events"))


def _payloads(context: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what the triggers of this package, ``aiopt watch`` or people have sent to the run."""
    from airflow_provider_aiopt.uploads.payloads import CONF_KEY

    found = []
    events = context.get("triggering_asset_events") or {}
    for asset in events:
        found += [(event.extra or {}).get("payload") for event in events[asset]]
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    found.append(conf.get(CONF_KEY))
    yield from (payload for payload in found if isinstance(payload, Mapping) and "watch_id" in payload)


def _check_location(payloads: Sequence[Mapping[str, Any]], spec: UploadWatchSpec) -> None:
    from airflow_provider_aiopt.exceptions import SpecError

    for payload in payloads:
        if payload.get("uri") == spec.location:
            raise SpecError(
                f"The run was started for uploads of {spec.location} by a watch with another pattern or "
                f"recursive than this task's: its id is {payload['watch_id']!r:.40}, the task's "
                f"{spec.watch_id}. Give the task the same watch as the trigger, or aiopt watch the same "
                "--pattern and --recursive; its uploads stay on offer"
            )


def write_manifest(workspace: Workspace, uploads: Sequence[Upload]) -> str:
    """Keep a run's uploads in its workspace, in the order of their URIs.

    :returns: where, for ``source.manifest``
    """
    from airflow_provider_aiopt.data.uploads import to_jsonl

    ordered = sorted(uploads, key=lambda upload: (upload.uri, upload.version))
    workspace.root.write(MANIFEST, to_jsonl(ordered))
    return workspace.root.uri_of(MANIFEST)


def write_offered(workspace: Workspace, uploads: Sequence[Upload]) -> None:
    """Keep what a run is about to claim, so that a retry finds what it got."""
    from airflow_provider_aiopt.data.uploads import to_jsonl

    workspace.root.write(_OFFERED, to_jsonl(uploads))


def read_offered(workspace: Workspace) -> list[Upload]:
    """Return what an earlier attempt was about to claim; nothing where there was none."""
    from airflow_provider_aiopt.data.uploads import from_jsonl

    content = workspace.root.find(_OFFERED)
    return [] if content is None else from_jsonl(content, workspace.root.uri_of(_OFFERED))
