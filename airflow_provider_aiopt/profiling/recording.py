"""Driving a profiler so that it costs the stage nothing but time."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.profiling.base import StageProfiler
from airflow_provider_aiopt.runtimes.base import ModelRuntime

log = logging.getLogger(__name__)

_ERROR_LENGTH = 300


class Recording:
    """A :class:`~airflow_provider_aiopt.runner.profiling.Probe` around one profiler.

    What the profiler raises once the stage has begun costs a warning and stands in the account; the stage
    goes on.

    :param profiler: the profiler, started
    :param stage: the stage whose report gets the account
    :param folder: where the artefacts go; those of an earlier attempt are replaced
    """

    def __init__(self, profiler: StageProfiler, stage: str, folder: Folder) -> None:
        self._profiler = profiler
        self._stage = stage
        self._folder = folder
        self._error: str | None = None

    @property
    def stage(self) -> str:
        """The stage whose report gets the account."""
        return self._stage

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._attempt(self._profiler.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, also where the profiler has failed meanwhile: it lets go of what it has hooked into."""
        self._attempt(self._profiler.end, even_failed=True)

    def runtime(self, runtime: ModelRuntime) -> ModelRuntime:
        """Return what to run the model with."""
        watched = runtime

        def wrap() -> None:
            nonlocal watched
            watched = self._profiler.runtime(runtime)

        self._attempt(wrap)
        return watched

    def subjects(self, stage: str, *subjects: object) -> None:
        """Show the profiler what *stage* works with."""
        self._attempt(lambda: self._profiler.subjects(stage, *subjects))

    def finish(self) -> dict[str, JsonValue]:
        """Keep the artefacts and return the account: kind, where the files lie, their sizes, the overhead."""
        account: dict[str, JsonValue] = {"kind": self._profiler.kind, "uri": self._folder.uri, "files": {}}
        try:
            self._attempt(lambda: account.update(self._keep()))
        finally:
            self._attempt(self._profiler.abandon, even_failed=True)
        if self._error is not None:
            account["error"] = self._error
        return account

    def _keep(self) -> dict[str, JsonValue]:
        with tempfile.TemporaryDirectory(prefix="aiopt-profile-") as name:
            facts = self._profiler.write(Path(name))
            return {**facts, "overhead": self._overhead(), "files": _replace(self._folder, Path(name))}

    def _overhead(self) -> JsonValue:
        """Return what the profiler has cost; the profile is kept also where that cannot be measured."""
        try:
            overhead = self._profiler.overhead()
        except Exception as error:  # noqa: BLE001 - such as a process for measuring it that does not start
            log.warning(
                "What the %s profile of %s cost is not known: %s", self._profiler.kind, self._stage, error
            )
            return None
        return None if overhead is None else overhead.as_json()

    def _attempt(self, action: Callable[[], object], *, even_failed: bool = False) -> None:
        if self._error is not None and not even_failed:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - a profiler is no reason to lose a stage's work
            log.warning("The %s profile of %s failed: %s", self._profiler.kind, self._stage, error)
            self._error = self._error or f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]


def _replace(folder: Folder, made: Path) -> dict[str, JsonValue]:
    """Put the files of *made* into *folder* in the place of all that were there; return their sizes."""
    paths = sorted(path for path in made.iterdir() if path.is_file())
    for name in set(folder.names()) - {path.name for path in paths}:
        folder.remove(name)
    for path in paths:
        with path.open("rb") as source, folder.create(path.name) as target:
            shutil.copyfileobj(source, target)
    return {path.name: path.stat().st_size for path in paths}
