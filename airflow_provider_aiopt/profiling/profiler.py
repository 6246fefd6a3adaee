"""Choosing the profiler that was asked for, and checking at once whether it fits the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.recording import Recording, log
from airflow_provider_aiopt.runner.profiling import ProfiledWork
from airflow_provider_aiopt.spec.profile import NO_PROFILE, PROFILE_KINDS
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_report import work_name

STREAM = "stream"
"""What the profiles of a stream are called, where all its stages are in them."""

_PROFILES = "profiles"
_CLASSES = {
    "cprofile": "deterministic.CProfiler",
    "line": "lines.LineStageProfiler",
    "torch": "torch_trace.TorchTracer",
    "onnxruntime": "onnxruntime_trace.OnnxRuntimeTracer",
    "syscalls": "syscalls.SystemCallCounter",
    "pyspy": "pyspy.PySpySampler",
}
_RUNTIMES = {"torch": "torch", "onnxruntime": "onnxruntime"}


def make_profiler(
    kind: str | None,
    stage: str | None = None,
    *,
    functions: Sequence[str] = (),
    allowed_callables: Sequence[str] = (),
) -> RunProfiler | None:
    """Return the profiler that was asked for, None for none.

    :param kind: its kind; None, an empty text or ``none`` for no profiler
    :param stage: the only stage to profile; None, an empty text or ``none`` for all
    :param functions: for ``line``: dotted paths of functions, classes or modules
    :param allowed_callables: prefixes of the dotted paths outside this package that may be named
    :raises ProfilingError: if there is no such kind or stage, or if functions are named for another kind
    """
    if kind in {None, "", NO_PROFILE}:
        return None
    only = None if stage in {None, "", NO_PROFILE} else stage
    if kind not in PROFILE_KINDS:
        raise ProfilingError(f"profile is {kind!r}; it can be {', '.join(PROFILE_KINDS)}, or {NO_PROFILE}")
    if only is not None and only not in STAGES:
        raise ProfilingError(f"profile_stage is {only!r}; it can be {', '.join(STAGES)}, or {NO_PROFILE}")
    if functions and kind != "line":
        raise ProfilingError(
            f"Functions are named to be profiled line by line, but profile is {kind!r}. Leave them out, or "
            "set profile to 'line'"
        )
    return RunProfiler(ProfileRequest(str(kind), only, tuple(functions), tuple(allowed_callables)))


class RunProfiler:
    """Makes the probes of a run.

    :param request: what was asked for
    """

    def __init__(self, request: ProfileRequest) -> None:
        self._request = request
        self._kind = profiler_class(request.kind)

    def probe(self, work: ProfiledWork) -> Recording | None:
        """Return a recording of *work* that has started, or None where nothing of it is asked for.

        :raises ProfilingError: if the profiler does not fit the pipeline, or may not watch this process
        :raises MissingExtraError: if it is not installed
        """
        self._check_runtime(work)
        covered = self._covered(work.stages)
        if not covered:
            return None
        name = STREAM if len(covered) > 1 else covered[0]
        folder = work.workspace.child(_PROFILES).child(work_name(name, work.shard, work.task))
        profiler = self._kind(self._request)
        try:
            profiler.start()
        except BaseException:
            profiler.abandon()
            raise
        log.info("Profiling %s with %s", name, self._request.kind)
        return Recording(profiler, covered[0], folder)

    def _covered(self, stages: Sequence[str]) -> tuple[str, ...]:
        asked = self._request.stage
        if len(stages) > 1 and asked is not None and self._kind.whole_process:
            raise ProfilingError(
                f"profile_stage is {asked!r}, but in streaming all stages share their threads, which "
                f"{self._request.kind} cannot tell apart. Leave profile_stage out, profile with 'line', or "
                "run the stages one by one: aiopt run --mode staged, or the operators of single stages"
            )
        asked = "inference" if self._kind.inference_only and asked is None else asked
        covered = tuple(stage for stage in stages if asked in {None, stage})
        return tuple(stage for stage in covered if not self._kind.inference_only or stage == "inference")

    def _check_runtime(self, work: ProfiledWork) -> None:
        kind, runtime = self._request.kind, work.spec.model.runtime
        if _RUNTIMES.get(kind, runtime) != runtime:
            raise ProfilingError(
                f"profile is {kind!r}, but model.runtime is {runtime!r}, whose operators {kind} does not "
                f"see. Set profile to {runtime!r}"
            )
        if self._kind.inference_only and self._request.stage not in {None, "inference"}:
            raise ProfilingError(
                f"profile_stage is {self._request.stage!r}, but {kind} profiles the model, which only the "
                "stage 'inference' runs. Leave profile_stage out, or choose cprofile, line, syscalls or pyspy"
            )


def profiler_class(kind: str) -> type[StageProfiler]:
    """Return the class of the profilers of *kind*."""
    module, _, name = _CLASSES[kind].partition(".")
    found: type[StageProfiler] = getattr(import_module(f"{__package__}.{module}"), name)
    return found
