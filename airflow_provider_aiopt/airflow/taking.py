"""Taking the uploads that a run was started for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import skip_exception
from airflow_provider_aiopt.airflow.messages import message_payloads, uploads_of_messages
from airflow_provider_aiopt.airflow.uploads import (
    is_event_run,
    send_upload_latency,
    uploads_of_run,
    watch_state,
    write_manifest,
)

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec

log = logging.getLogger(__name__)


def take_uploads(
    context: Mapping[str, Any],
    watch: Mapping[str, Any],
    messages: Mapping[str, Any] | None,
    workspace: str | None,
) -> str:
    """Claim a run's uploads, and list them in its workspace.

    :param context: the context of the run's task that takes them
    :param watch: the watch that the run was started by
    :param messages: the queue that the run may have been started by as well
    :param workspace: where the list goes; None for the default
    :returns: where the list is, for the pipeline's ``source.manifest``
    :raises AirflowSkipException: if nothing is left for the run
    """
    from airflow_provider_aiopt.spec.uploads import load_watch_spec

    spec = load_watch_spec(watch)
    state = watch_state(spec)
    task = task_identity(context)
    offered = uploads_of_run(context, spec, state)
    if is_event_run(context):
        state.fed_by_events(task.dag_id)
    payloads = message_payloads(context) if messages else []
    told = uploads_of_messages(payloads, spec, state) if payloads else []
    # Of an upload in both the later counts, what the watch saw: that says since when it has waited.
    claimed = state.claims.claim([*told, *offered], consumer=task.dag_id, run_id=task.run_id)
    if messages and payloads:
        acknowledge(messages, payloads)
    if not claimed.ours:
        reason = _nothing_to_take(spec, claimed.others)
        log.info("%s", reason)  # Airflow does not show why a task was skipped
        raise skip_exception()(reason)
    watched = {upload.key for upload in offered}
    if waited := [upload for upload in claimed.ours if upload.key in watched]:
        send_upload_latency(task, waited)
    log.info("%d uploads taken, %d are other runs'", len(claimed.ours), len(claimed.others))
    return write_manifest(open_workspace(task, workspace), claimed.ours)


def _nothing_to_take(spec: UploadWatchSpec, others: Sequence[Upload]) -> str:
    if others:
        return f"No upload is left for this run: other runs have all {len(others)} that it was started for"
    return (
        f"This run was not started for uploads of {spec.location}: no event of NewUploadTrigger, no message "
        "and no aiopt watch named any"
    )
