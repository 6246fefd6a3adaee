"""The sensor that waits for new objects and takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_aiopt.airflow.config import configuration
from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.airflow.uploads import (
    read_offered,
    watch_state,
    write_manifest,
    write_offered,
)
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink
from airflow_provider_aiopt.triggers.new_uploads import NewUploadTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec

_LISTEN_S = 10.0  # that one poke listens


class NewUploadSensor(BaseSensorOperator):
    """Waits for new objects in a folder or bucket and claims them for its run.

    For DAGs that run on a schedule, such as ``@continuous``, and look for what came since; the guarantees
    are those of :class:`~airflow_provider_aiopt.triggers.new_uploads.NewUploadTrigger`.  Without
    ``deferrable`` it occupies a worker, and with ``mode="reschedule"`` only while it listens.

    :param watch: the parameters of the trigger (templated)
    :param workspace: folder or URL of the run's workspace (templated); default ``[aiopt] work_dir`` / DAG
        id / run id
    :param deferrable: whether to wait in the triggerer; default ``[operators] default_deferrable``
    """

    template_fields: Sequence[str] = ("watch", "workspace")
    template_fields_renderers = {"watch": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#e6f4ea"
    operator_extra_links = (StageTimingsLink(),)

    def __init__(
        self,
        *,
        watch: Mapping[str, Any],
        workspace: str | None = None,
        deferrable: bool | None = None,
        poke_interval: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.watch = watch
        self.workspace = workspace
        if deferrable is None:
            deferrable = configuration().getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Wait and claim.

        :returns: where the list of the uploads is, for the pipeline's ``source.manifest``
        """
        with no_vain_retries():
            taken = self._take(context, read_offered(self._workspace(context)))  # of an earlier attempt
            if taken is None and self.deferrable:
                self._defer(context)
        return super().execute(context) if taken is None else taken

    def poke(self, context: Context) -> PokeReturnValue:
        """Listen for some seconds and claim the first uploads that come."""
        with no_vain_retries():
            taken = self._take(context, asyncio.run(self._listen(task_identity(context).dag_id)))
        return PokeReturnValue(is_done=taken is not None, xcom_value=taken)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> str | None:
        """Claim what the trigger has seen; wait on where other runs have it.

        :param event: the trigger's payload
        """
        from airflow_provider_aiopt.uploads.payloads import read_payload

        with no_vain_retries():
            spec = self._spec()
            taken = self._take(context, read_payload(event, spec.watch_id, watch_state(spec)))
        if taken is None:
            self._defer(context)
        return taken

    def _defer(self, context: Context) -> None:
        watch = self._spec().model_dump(mode="json", exclude_defaults=True)
        self.defer(
            trigger=NewUploadTrigger(**watch, consumer=task_identity(context).dag_id),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    async def _listen(self, consumer: str) -> list[Upload]:
        from airflow_provider_aiopt.uploads.watching import watch

        spec = self._spec()
        batches = watch(spec, state=watch_state(spec, consumer), resolver=resolve_with_connection)
        try:
            async with asyncio.timeout(_LISTEN_S):
                return await anext(batches)
        except TimeoutError:
            return []
        finally:
            await batches.aclose()

    def _take(self, context: Context, uploads: Sequence[Upload]) -> str | None:
        if not uploads:
            return None
        workspace, task = self._workspace(context), task_identity(context)
        write_offered(workspace, uploads)
        claims = watch_state(self._spec()).claims
        claimed = claims.claim(uploads, consumer=task.dag_id, run_id=task.run_id)
        if not claimed.ours:
            return None
        self.log.info("%d uploads taken", len(claimed.ours))
        return write_manifest(workspace, claimed.ours)

    def _workspace(self, context: Context) -> Workspace:
        return open_workspace(task_identity(context), self.workspace)

    def _spec(self) -> UploadWatchSpec:
        from airflow_provider_aiopt.spec.uploads import load_watch_spec

        return load_watch_spec(self.watch)
