"""What timing the stages and sending metrics to a real receiver costs: streaming with both and with neither.

Usage: ``python -m benchmarks.overhead``.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, conclude, table
from benchmarks.command import begin, parser
from benchmarks.harness import Run, System, interleave, ratio, run_system, spread
from benchmarks.machine import surroundings
from benchmarks.models import fp32_model
from benchmarks.photographs import photographs

ON = "accounted"
OFF = "unaccounted"
LEAST = 0.99
_LARGEST_PACKET = 65536
_POLL_S = 0.2

Runs = Mapping[str, Sequence[Run]]


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


def results(runs: Runs) -> dict[str, Any]:
    """Return throughput and CPU time with and without, and their ratios."""
    rates = {name: [run.images_per_s for run in done] for name, done in runs.items()}
    cpu = {
        name: [run.answer["cpu_s"] / run.answer["images"] * 1e3 for run in done]
        for name, done in runs.items()
    }
    return {
        "images_per_s": {name: spread(values) for name, values in rates.items()},
        "cpu_ms_per_image": {name: spread(values) for name, values in cpu.items()},
        "throughput_ratio": ratio(rates[ON], rates[OFF]),
        # Steadier than throughput where the machine is not quite alone.
        "cpu_ratio": ratio(cpu[ON], cpu[OFF]),
    }


def _table(figures: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            *(f"{figures['images_per_s'][name][key]:.1f}" for key in ("median", "min", "max")),
            f"{figures['cpu_ms_per_image'][name]['median']:.3f}",
        )
        for name in (ON, OFF)
    ]
    return table("Cost of timing and metrics", ("images/s", "median", "min", "max", "CPU ms an image"), rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=2000).parse_args()
    warning = begin(arguments.cores)
    console = Console(stderr=True)
    folder, fp32 = photographs(arguments.images), fp32_model()
    before = surroundings()

    def announce(number: int, name: str, run: Run) -> None:
        console.print(f"round {number}: {name} {run.images_per_s:.1f} images/s", highlight=False)

    with receiver() as statsd:
        systems = {
            ON: System(ON, "streaming", fp32, {"statsd": f"127.0.0.1:{statsd.port}"}),
            OFF: System(OFF, "unaccounted", fp32),
        }
        runs = interleave(
            list(systems),
            lambda name: run_system(systems[name], folder),
            rounds=arguments.rounds,
            on_run=announce,
        )
        if not statsd.packets:
            raise SystemExit("No metric arrived at the receiver")
    figures = results(runs)
    values = {**before, "warning": warning, "images": arguments.images, "packets": statsd.packets, **figures}
    reached = [Check("throughput with over without", figures["throughput_ratio"]["median"], LEAST)]
    conclude("overhead", values, [_table(figures)], reached)


if __name__ == "__main__":
    main()
