"""What timing the stages and sending metrics to a real receiver costs: streaming with both and with neither.

A cost of 1 % is less than what two runs of one program differ by, so it takes many short runs in pairs, in
processes that do both in turn, and an interval for the median of the pairs' ratios.  Runs without accounting
are compared among themselves as well: what lies within that interval may be nothing.

Usage: ``python -m benchmarks.overhead``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import ENVIRONMENT, median_interval, spread
from benchmarks.models import fp32_model
from benchmarks.photographs import photographs
from benchmarks.session import Session

ON = "accounted"
OFF = "unaccounted"
MOST = 1.01
BLOCKS = 5
"""Of four runs each, in one process."""

_LARGEST_PACKET = 65536
_POLL_S = 0.2

Answers = Sequence[Mapping[str, Any]]


class Receiver:
    """Takes UDP packets and counts them."""

    def __init__(self) -> None:
        self.packets = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(_POLL_S)
        self._stop = threading.Event()
        self.port: int = self._socket.getsockname()[1]

    def listen(self) -> None:
        """Take packets until :meth:`close`."""
        while not self._stop.is_set():
            try:
                self._socket.recv(_LARGEST_PACKET)
            except TimeoutError:
                continue
            self.packets += 1

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Receive metrics while the block runs."""
    made = Receiver()
    thread = threading.Thread(target=made.listen, name="bench-statsd")
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def run_pairs(images: Path, model: str, statsd: str) -> dict[str, Any]:
    """Run the pairs of one process."""
    command = [sys.executable, "-m", "benchmarks.systems.accounting"]
    command += ["--images", str(images), "--model", model, "--statsd", statsd, "--blocks", str(BLOCKS)]
    done = subprocess.run(
        command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def results(answers: Answers) -> dict[str, Any]:
    """Return what the accounting costs in CPU time and in wall time.

    :param answers: what :mod:`benchmarks.systems.accounting` answered in each process
    """
    pairs = [pair for answer in answers for pair in answer["pairs"]]
    figures: dict[str, Any] = {"pairs": pairs}
    for key in ("cpu_s", "seconds"):
        with_it, without = ([pair[name][key] for pair in pairs] for name in (ON, OFF))
        figures[key] = {
            ON: spread(with_it),
            OFF: spread(without),
            "cost": _cost([a / b for a, b in zip(with_it, without, strict=True)]),
            # The two runs in the middle of ABBA follow each other and differ in nothing.
            "control": _cost([a / b for a, b in zip(without[::2], without[1::2], strict=True)]),
        }
    return figures


def _cost(ratios: Sequence[float]) -> dict[str, Any]:
    low, high = median_interval(ratios)
    return {**spread(ratios), "interval": [low, high]}


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return the upper end of what it costs beside its target.

    Both cores are busy all the time, so CPU time is throughput, without what others take of the wall time.
    """
    return [
        Check(
            "CPU time with over without, upper end of the 95 % interval",
            figures["cpu_s"]["cost"]["interval"][1],
            MOST,
            at_most=True,
        )
    ]


def _table(figures: Mapping[str, Any], images: int) -> Table:
    rows = []
    for key, name in (("cpu_s", "CPU time"), ("seconds", "wall time")):
        for kind, what in (("cost", "with over without"), ("control", "without over without")):
            found = figures[key][kind]
            rows.append(
                (
                    f"{name}, {what}",
                    f"{found['median']:.4f}",
                    "{:.4f} to {:.4f}".format(*found["interval"]),
                    str(len(found["values"])),
                )
            )
    columns = (f"runs of {images} images", "median ratio", "95 % interval", "pairs")
    return table("Cost of timing and metrics", columns, rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=200).parse_args()
    session = Session.begin("overhead", arguments)
    console = Console(stderr=True)
    folder, fp32 = photographs(arguments.images), fp32_model()

    def announce(number: int, _: str, answer: Mapping[str, Any]) -> None:
        cost = results([answer])["cpu_s"]["cost"]["median"]
        console.print(f"round {number}: CPU time with over without {cost:.4f}", highlight=False)

    with receiver() as statsd:
        answers = session.interleave(
            ["pairs"],
            lambda _: run_pairs(folder, fp32, f"127.0.0.1:{statsd.port}"),
            rounds=arguments.rounds,
            on_run=announce,
        )["pairs"]
        if not statsd.packets:
            raise SystemExit("No metric arrived at the receiver")
    figures = results(answers)
    values = {"images": arguments.images, **figures}
    session.conclude(values, [_table(figures, arguments.images)], checks(figures))


if __name__ == "__main__":
    main()
