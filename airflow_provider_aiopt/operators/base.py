"""What the four stage operators have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.context import advise_on_run, push_report, run_context
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.airflow.profiling import with_profiler
from airflow_provider_aiopt.airflow.queueing import send_queue_time
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_aiopt.data.manifest import ShardRef
    from airflow_provider_aiopt.runner.context import RunContext, StageOutcome
    from airflow_provider_aiopt.spec.loading import SpecLike


class SpecOperator(BaseOperator):
    """Runs a pipeline or a part of it.

    :param spec: the pipeline: a mapping, a :class:`~airflow_provider_aiopt.spec.PipelineSpec`, or the path of
        a YAML or JSON file; mappings and paths are templated
    :param workspace: folder or URL of the run's shards, reports and results (templated); default
        ``[aiopt] work_dir`` / DAG id / run id
    """

    template_fields: Sequence[str] = ("spec", "workspace")
    template_fields_renderers: ClassVar[dict[str, str]] = {"spec": "json"}
    ui_color = "#e8f0fe"
    stage: ClassVar[str] = "ingest"  # the one that it begins with
    operator_extra_links = (StageTimingsLink(),)

    def __init__(self, *, spec: SpecLike, workspace: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.workspace = workspace
        self._is_running = False

    def _run_context(self, context: Context) -> RunContext:
        send_queue_time(context, self.stage)
        return run_context(context, self.spec, self.workspace)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Let the block be cancelled, and fail it at once where a retry cannot help."""
        self._is_running = True
        try:
            with no_vain_retries():
                yield
        finally:
            self._is_running = False

    def on_kill(self) -> None:
        """End a run that is under way as Ctrl-C does; its next attempt goes on after the last finished shard.

        Airflow calls it on the task's own thread, wherever that is, when the process is told to end.

        :raises KeyboardInterrupt: within the run, so that threads end and temporary files are removed
        """
        if self._is_running:
            self._is_running = False  # once: what is cleaned up meanwhile is not to be interrupted again
            raise KeyboardInterrupt("Airflow told the task to end")


class ProfiledOperator(SpecOperator):
    """Runs a pipeline or a part of it, under a profiler where one is asked for.

    :param profile: profiles the task's stages: ``cprofile``, ``line``, ``torch``, ``onnxruntime``,
        ``syscalls`` or ``pyspy`` (templated); default, as ``none`` or an empty text: nothing
    :param profile_stage: the only stage to profile (templated); default, as ``none``: all that the task runs
    :param profile_functions: for ``line``, dotted paths of functions, classes or modules under
        ``[aiopt] allowed_callables``; default: the stage's own
    """

    template_fields: Sequence[str] = (*SpecOperator.template_fields, "profile", "profile_stage")

    def __init__(
        self,
        *,
        profile: str | None = None,
        profile_stage: str | None = None,
        profile_functions: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.profile = profile
        self.profile_stage = profile_stage
        self.profile_functions = profile_functions

    def _run_context(self, context: Context) -> RunContext:
        run = super()._run_context(context)
        return with_profiler(run, self.profile, self.profile_stage, self.profile_functions)


class StageOperator(ProfiledOperator):
    """Runs one stage of a pipeline; the parameters are those of :class:`ProfiledOperator`."""

    stage: ClassVar[str]
    is_last: ClassVar[bool] = False

    def _run_stage(self, context: Context, refs: Sequence[ShardRef]) -> StageOutcome:
        from airflow_provider_aiopt.runner.staged import run_stage

        with self._running():
            run = self._run_context(context)
            outcome = run_stage(run, self.stage, refs)
        report = advise_on_run(run.workspace, outcome.report) if self.is_last else outcome.report
        push_report(context, report)
        return outcome


class ShardOperator(StageOperator):
    """Runs one stage on shards that an earlier stage made.

    :param shard: the earlier task's output: one reference such as ``"ingest/00000"`` when mapped with
        ``.expand(shard=...)``, else all of them (templated)
    """

    template_fields: Sequence[str] = (*StageOperator.template_fields, "shard")

    def __init__(self, *, shard: str | Sequence[str] | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    def execute(self, context: Context) -> Any:
        """Run the stage.

        :returns: references to the shards it made: one where one was given, else a list
        """
        outcome = self._run_stage(context, parse_refs(self.shard))
        refs = [str(ref) for ref in outcome.refs]
        return refs[0] if isinstance(self.shard, str) else refs


def reporting_before(task: BaseOperator) -> list[str]:
    """Return the ids of the tasks before *task*, mapped or not, that are of this package's operators."""
    return sorted(
        operator.task_id
        for operator in task.get_flat_relatives(upstream=True)
        if any(isinstance(link, StageTimingsLink) for link in operator.operator_extra_links)
    )


def check_shards(run: RunContext) -> RunContext:
    """Return *run* if the deployment allows as many shards as its spec asks for.

    :raises SpecError: if it does not
    """
    from airflow_provider_aiopt.exceptions import SpecError

    if run.spec.execution.shards > run.max_shards:
        raise SpecError(
            f"execution.shards is {run.spec.execution.shards}; [aiopt] max_shards allows {run.max_shards}"
        )
    return run


def parse_refs(value: Any) -> list[ShardRef]:
    """Read the shard references in an XCom, which may be one, several, or lists from several mapped tasks.

    :raises ShardError: if it holds anything else
    """
    from airflow_provider_aiopt.data.manifest import ShardRef
    from airflow_provider_aiopt.exceptions import ShardError

    if isinstance(value, str):
        return [ShardRef.parse(value)]
    if not isinstance(value, Sequence):
        raise ShardError(
            f"shard must hold references like 'ingest/00000'; found {value!r}. Pass the output of the stage "
            "before: shard=ingest.output"
        )
    # Slicing fetches the XComs of all mapped tasks in one request; iterating would take one for each.
    return [ref for item in value[:] for ref in parse_refs(item)]
