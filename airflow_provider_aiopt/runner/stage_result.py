"""What a stage that ran in a process of its own tells whoever started it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.exceptions import AioptError, ReportError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.work import PIPELINE, PLAN, RESULTS_WORK
from airflow_provider_aiopt.telemetry.faults import first_fault
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.small_reports import ERROR_LENGTH, small_reports


class StageResult(BaseModel):
    """The outcome of one task's work, small enough for an XCom and the same in a file.

    :param work: one of :data:`~airflow_provider_aiopt.runner.work.WORK`
    :param references: references to the shards it made; none where it made results
    :param results_uri: where the result files lie, None where it made shards
    :param results: how many results they hold of this task's shards
    :param stage_reports: the reports of the stages that it ran, cut down to what an XCom may have
    :param error: class and message of the error where it failed
    :param retryable: whether the same work may succeed another time
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    references: tuple[str, ...] = ()
    results_uri: str | None = None
    results: int | None = Field(default=None, ge=0)
    stage_reports: tuple[StageReport, ...] = ()
    error: str | None = None
    retryable: bool = True

    def to_json(self) -> str:
        """Return the result as one line of JSON, without what has its default."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_json(cls, content: bytes | str, where: str) -> StageResult:
        """Read a result.

        :param content: what :meth:`to_json` returned
        :param where: where it comes from, for the message
        :raises ReportError: if it is none
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ReportError(
                f"{where} is no result of 'aiopt stage': {first_fault(error, 'the whole')}. Use the same "
                "version of this package in Airflow and in the image"
            ) from error

    @classmethod
    def of_error(cls, work: str, error: AioptError) -> StageResult:
        """Return the outcome of work that failed."""
        message = f"{type(error).__name__}: {error}"
        return cls(work=work, error=message[: 5 * ERROR_LENGTH], retryable=error.retryable)


def run_work(context: RunContext, work: str, refs: Sequence[ShardRef] = ()) -> StageResult:
    """Run a stage, the listing or the whole pipeline in this process.

    :param context: the run
    :param work: one of :data:`~airflow_provider_aiopt.runner.work.WORK`
    :param refs: the shards to work on; none for work that begins a run, and none for ``pipeline`` where it
        lists the source itself
    :raises AioptError: one of its subclasses, if the work as a whole fails
    """
    if work == PIPELINE:
        from airflow_provider_aiopt.runner.streaming import run_streaming

        return _finished(work, run_streaming(context, refs or None))
    if work == PLAN:
        from airflow_provider_aiopt.runner.planning import plan_run

        outcome = plan_run(context)
    else:
        from airflow_provider_aiopt.runner.staged import run_stage

        outcome = run_stage(context, work, refs)
    return _finished(work, (outcome.report,), outcome.refs)


def _finished(work: str, reports: Sequence[StageReport], refs: Sequence[ShardRef] = ()) -> StageResult:
    small = tuple(map(StageReport.model_validate, small_reports(reports)))
    if work not in RESULTS_WORK:
        return StageResult(work=work, references=tuple(map(str, refs)), stage_reports=small)
    last = reports[-1]
    return StageResult(
        work=work,
        results_uri=str(last.details["results_uri"]),
        results=last.items_out,
        stage_reports=small,
    )
