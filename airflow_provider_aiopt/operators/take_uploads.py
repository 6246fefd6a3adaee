"""Taking a run's uploads as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import no_vain_retries, skip_exception
from airflow_provider_aiopt.airflow.messages import message_payloads, uploads_of_messages
from airflow_provider_aiopt.airflow.uploads import (
    is_event_run,
    send_upload_latency,
    uploads_of_run,
    watch_state,
    write_manifest,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec


class TakeUploadsOperator(BaseOperator):
    """Claims the uploads that started the run, so that no other run of the DAG gets them.

    The first task of a DAG that :class:`~airflow_provider_aiopt.triggers.new_uploads.NewUploadTrigger` or
    ``aiopt watch`` starts.  A retried or cleared task takes what its run took before.  Where other runs have
    everything, as after an event that came twice, the task and with it the rest of the run is skipped.  So it
    is in a run that was started by hand, or for another location's uploads.

    :param watch: the parameters of the trigger, those of
        :class:`~airflow_provider_aiopt.spec.uploads.UploadWatchSpec`; URI, pattern and recursive must be the
        same as there
    :param messages: where a queue's messages start the run as well, or instead: the parameters of
        :func:`~airflow_provider_aiopt.triggers.messages.message_trigger`; the messages are acknowledged once
        the uploads are claimed
    :param workspace: folder or URL of the run's workspace (templated); default ``[aiopt] work_dir`` / DAG
        id / run id
    """

    template_fields: Sequence[str] = ("workspace",)
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        watch: Mapping[str, Any],
        messages: Mapping[str, Any] | None = None,
        workspace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.watch = watch
        self.messages = messages
        self.workspace = workspace

    def execute(self, context: Context) -> str:
        """Claim them and list them in the run's workspace.

        :returns: where the list is, for the pipeline's ``source.manifest``
        """
        from airflow_provider_aiopt.spec.uploads import load_watch_spec

        with no_vain_retries():
            spec = load_watch_spec(self.watch)
            state = watch_state(spec)
            task = task_identity(context)
            offered = uploads_of_run(context, spec, state)
            if is_event_run(context):
                state.fed_by_events(task.dag_id)
            payloads = message_payloads(context) if self.messages else []
            told = uploads_of_messages(payloads, spec, state) if payloads else []
            # Of an upload in both the later counts, what the watch saw: that says since when it has waited.
            claimed = state.claims.claim([*told, *offered], consumer=task.dag_id, run_id=task.run_id)
            if self.messages and payloads:
                acknowledge(self.messages, payloads)
            if not claimed.ours:
                reason = _nothing_to_take(spec, claimed.others)
                self.log.info("%s", reason)  # Airflow does not show why a task was skipped
                raise skip_exception()(reason)
            watched = {upload.key for upload in offered}
            if waited := [upload for upload in claimed.ours if upload.key in watched]:
                send_upload_latency(task, waited)
            self.log.info("%d uploads taken, %d are other runs'", len(claimed.ours), len(claimed.others))
            return write_manifest(open_workspace(task, self.workspace), claimed.ours)


def _nothing_to_take(spec: UploadWatchSpec, others: Sequence[Upload]) -> str:
    if others:
        return f"No upload is left for this run: other runs have all {len(others)} that it was started for"
    return (
        f"This run was not started for uploads of {spec.location}: no event of NewUploadTrigger, no message "
        "and no aiopt watch named any"
    )
