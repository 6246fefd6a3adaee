"""A run's progress on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from airflow_provider_aiopt.telemetry.progress import NullProgress, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import Task, TaskID
    from rich.text import Text


@contextmanager
def shown_progress(stream: TextIO, *, wanted: bool) -> Iterator[Progress]:
    """Show a run's stages on *stream* while the block runs: records done, in all and per second.

    :param stream: where to; nothing is shown unless it is a terminal
    :param wanted: whether to show anything
    """
    if not wanted or not stream.isatty():
        yield NullProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Records per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")

    # The bars are drawn a few times a second, however often they are told to move.
    with Bars(
        TextColumn("{task.description:11}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bars:
        yield _BarsProgress(bars)


class _BarsProgress:
    """A bar for each stage, from when it is first heard of."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def expect(self, stage: str, records: int) -> None:
        self._bars.update(self._task(stage), total=records)

    def advance(self, stage: str, records: int) -> None:
        self._bars.advance(self._task(stage), records)

    def _task(self, stage: str) -> TaskID:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=None)
        return self._tasks[stage]
