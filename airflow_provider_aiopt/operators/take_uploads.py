"""Taking a run's uploads as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.airflow.queueing import send_queue_time
from airflow_provider_aiopt.airflow.taking import take_uploads
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class TakeUploadsOperator(BaseOperator):
    """Claims the uploads that started the run, so that no other run of the DAG gets them.

    The first task of a DAG that :class:`~airflow_provider_aiopt.triggers.new_uploads.NewUploadTrigger` or
    ``aiopt watch`` starts.  A retried or cleared task takes what its run took before.  Where other runs have
    everything, as after an event that came twice, the task and with it the rest of the run is skipped.  So it
    is in a run that was started by hand, or for another location's uploads.

    A :class:`~airflow_provider_aiopt.operators.pipeline.PipelineOperator` can take them itself, which saves
    the run a task.

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
    operator_extra_links = (StageTimingsLink(),)

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
        send_queue_time(context, "take")
        with no_vain_retries():
            return take_uploads(context, self.watch, self.messages, self.workspace)
