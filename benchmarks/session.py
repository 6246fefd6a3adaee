"""One benchmark from its command line to its result, in one go or in pieces of a few minutes.

Whole rounds are kept in a file.  A benchmark that is stopped, by ``--minutes`` or otherwise, goes on after
the last of them when the same command is given again, unless the code or the settings have changed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, conclude
from benchmarks.command import ROUNDS, begin
from benchmarks.machine import CpuTimes, code_state, surroundings
from benchmarks.paths import CACHE, RESULTS, TRIES

R = TypeVar("R")

UNFINISHED = 75
"""Exit status of a benchmark that has to be called again: EX_TEMPFAIL of sysexits.h."""


class Session:
    """The rounds of one benchmark.

    :param name: the benchmark's name
    :param settings: what its figures depend on, beside the code
    :param minutes: time for this piece; None: until it is done
    :param warning: what spoils the figures of this piece
    :param trial: whether it is a try, whose result does not replace that of a real run
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        minutes: float | None = None,
        warning: str | None = None,
        trial: bool = False,
    ) -> None:
        self.name = name
        self._trial = trial
        self._console = Console(stderr=True)
        self._deadline = None if minutes is None else time.monotonic() + minutes * 60
        self._file = CACHE / "unfinished" / f"{name}.json"
        self._rounds_of_piece = 0
        key = json.loads(json.dumps({"code": code_state(), **settings}))
        self._state = self._continued(key) or {
            "key": key,
            "surroundings": surroundings(),
            "warnings": [],
            "facts": {},
            "rounds": [],
        }
        if warning:
            self._state["warnings"].append(warning)

    @classmethod
    def begin(cls, name: str, arguments: argparse.Namespace) -> Session:
        """Confine the process to the cores that were asked for and begin or go on.

        :param arguments: what :func:`benchmarks.command.parser` parsed
        """
        warning = begin(arguments.cores)
        settings = {key: value for key, value in vars(arguments).items() if key != "minutes"}
        trial = arguments.rounds < ROUNDS
        return cls(name, settings, minutes=arguments.minutes, warning=warning, trial=trial)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what *make* makes, plain values, made by the first piece alone."""
        facts = self._state["facts"]
        if key not in facts:
            facts[key] = json.loads(json.dumps(make()))
            self._save()
        return facts[key]

    def interleave(
        self,
        names: Sequence[str],
        run: Callable[[str], R],
        *,
        rounds: int,
        on_run: Callable[[int, str, R], None] = lambda *_: None,
        decode: Callable[[Any], R] = lambda values: values,
    ) -> dict[str, list[R]]:
        """Call *run* for each name in turn, *rounds* times after a warm-up round that is dropped.

        What slows the machine for a while thus slows all of them.

        :param on_run: called after each with the round, 0 being the warm-up
        :param decode: makes a run of its plain values
        :raises SystemExit: with :data:`UNFINISHED`, where the next round does not fit into the time
        """
        done = self._state["rounds"]
        for number in range(len(done), rounds + 1):
            self._pause_if_late(number, rounds)
            load, times, began = os.getloadavg(), CpuTimes.now(), time.monotonic()
            today = datetime.now(UTC).isoformat(timespec="seconds")
            values: dict[str, Any] = {}
            for name in names:
                result = run(name)
                on_run(number, name, result)
                values[name] = _plain(result)
            done.append(
                {
                    "date": today,
                    "seconds": time.monotonic() - began,
                    "load_average": load,
                    "stolen_share": CpuTimes.now().shares_since(times)[1],
                    "runs": values,
                }
            )
            self._rounds_of_piece += 1
            self._save()
        return {name: [decode(one["runs"][name]) for one in done[1 : rounds + 1]] for name in names}

    def conclude(
        self,
        values: Mapping[str, Any],
        tables: Sequence[Table],
        checks: Sequence[Check],
        *,
        keep: bool = True,
    ) -> Path:
        """Print the tables and the checks, write the result, and forget the pieces.

        :param keep: whether it is a result to keep, unless this is a try
        """
        rounds = [
            {key: value for key, value in one.items() if key != "runs"} for one in self._state["rounds"]
        ]
        content = {
            **self._state["surroundings"],
            "warnings": self._state["warnings"],
            "rounds": rounds[1:],
            **values,
        }
        folder = RESULTS if keep and not self._trial else TRIES
        path = conclude(self.name, content, tables, checks, folder)
        self._file.unlink(missing_ok=True)
        return path

    def _continued(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        if not self._file.exists():
            return None
        state: dict[str, Any] = json.loads(self._file.read_text())
        if state["key"] != key:
            self._say("the code or the settings have changed since the last piece: beginning anew")
            return None
        self._say(f"going on after {len(state['rounds'])} rounds")
        return state

    def _pause_if_late(self, number: int, rounds: int) -> None:
        if self._deadline is None or not self._rounds_of_piece:
            return  # each piece does a round, so that the last one comes
        longest = max(one["seconds"] for one in self._state["rounds"])
        if time.monotonic() + longest > self._deadline:
            self._pause(number, rounds)

    def _pause(self, number: int, rounds: int) -> NoReturn:
        self._say(f"{number} of {rounds + 1} rounds are done; the same command goes on")
        raise SystemExit(UNFINISHED)

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".part")
        partial.write_text(json.dumps(self._state))
        partial.replace(self._file)

    def _say(self, text: str) -> None:
        self._console.print(f"{self.name}: {text}", highlight=False)


def _plain(result: Any) -> Any:
    return asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
