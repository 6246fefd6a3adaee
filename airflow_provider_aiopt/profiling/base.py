"""What every profiler is to the recording that drives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from airflow_provider_aiopt.profiling.overhead import Overhead
from airflow_provider_aiopt.runtimes.base import ModelRuntime


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """What was asked for.

    :param kind: one of :data:`~airflow_provider_aiopt.spec.profile.PROFILE_KINDS`
    :param stage: the stage to profile, None for all
    :param functions: dotted paths of functions, classes or modules for ``line``; default: the stage's own
    :param allowed: prefixes of the dotted paths outside this package that may be named
    """

    kind: str
    stage: str | None = None
    functions: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


class StageProfiler(ABC):
    """Watches one stage, or all stages of a stream; subclasses say how.

    :meth:`start` comes before the stage's clock runs and :meth:`write` after it has stopped.  Between them
    :meth:`begin` and :meth:`end` are called on the thread that drives the stage, the others on any.

    :param request: what was asked for
    :cvar kind: one of :data:`~airflow_provider_aiopt.spec.profile.PROFILE_KINDS`
    :cvar inference_only: whether it has nothing to watch in other stages
    :cvar whole_process: whether it cannot tell stages apart that share a process
    """

    kind: ClassVar[str]
    inference_only: ClassVar[bool] = False
    whole_process: ClassVar[bool] = False

    def __init__(self, request: ProfileRequest) -> None:
        self.request = request

    def start(self) -> None:
        """Do what takes long or may be refused.

        :raises ProfilingError: if it is
        """

    def begin(self) -> None:
        """Begin to watch."""

    def end(self) -> None:
        """End it."""

    def runtime(self, runtime: ModelRuntime) -> ModelRuntime:
        """Return what to run the model with."""
        return runtime

    def subjects(self, stage: str, *subjects: object) -> None:
        """Take note of what *stage* works with."""

    @abstractmethod
    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write the artefacts into *folder*, which is empty.

        :returns: further facts for the report, few
        """

    def overhead(self) -> Overhead | None:
        """Return what it has cost, None where that cannot be told; called after :meth:`write`."""
        return None

    def abandon(self) -> None:
        """Let go of everything, whatever state it is in."""
