"""What the demo shows of a run while it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from airflow_provider_aiopt.telemetry.reports import STAGES

_MARKS = {"done": "✓", "failed": "✗", "running": "▶", "waiting": "·"}


def summarise(tasks: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Say for every stage how far its tasks are: ``{"ingest": ("running", "0 of 1 tasks done"), ...}``.

    :param tasks: task instances of a run, from Airflow's API
    """
    summary = {}
    for stage in STAGES:
        states = [task["state"] for task in tasks if task["task_id"] == stage]
        done, failed, left_out = (states.count(state) for state in ("success", "failed", "upstream_failed"))
        if failed or left_out:
            mark = "failed"
        elif states and done == len(states):
            mark = "done"
        elif done or any(state in ("running", "queued", "up_for_retry") for state in states):
            mark = "running"
        else:
            mark = "waiting"
        retried = sum(max(0, task["try_number"] - 1) for task in tasks if task["task_id"] == stage)
        text = "waiting" if mark == "waiting" else f"{done} of {len(states)} tasks done"
        text += f", {failed} failed" if failed else ""
        text += ", not run since an earlier stage failed" if left_out else ""
        summary[stage] = (mark, f"{text}, {retried} retried" if retried else text)
    return summary


class RunProgress:
    """Shows how far a run is: in place on a terminal, otherwise a line for every change.

    :param console: where to show it
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._shown: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()

    def update(self, tasks: Sequence[dict[str, Any]]) -> None:
        """Show the state of the run's task instances."""
        summary = summarise(tasks)
        if self._live is not None:
            self._live.update(_progress_text(summary), refresh=True)
            return
        for stage, (mark, text) in summary.items():
            if mark != "waiting" and self._shown.get(stage) != (mark, text):
                self._console.print(f"  {stage:<12} {text}")
        self._shown = summary


def _progress_text(summary: dict[str, tuple[str, str]]) -> Text:
    styles = {"done": "green", "failed": "bold red", "running": "cyan", "waiting": "dim"}
    lines = [
        Text(f"  {_MARKS[mark]} {stage:<12} {text}", style=styles[mark])
        for stage, (mark, text) in summary.items()
    ]
    return Text("\n").join(lines)
