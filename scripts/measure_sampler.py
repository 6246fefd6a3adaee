"""Measure what sampling the hardware costs: CPU time of the sampler's thread over the time that it sampled.

The process keeps threads and child processes that do nothing, since the sampler reads a file for each.  It
prints the share of a core for the interval that is given, the mean cost of one sample, and what opening the
machine costs once in a process; with a GPU, both include its driver's calls.

Usage: ``python scripts/measure_sampler.py [--seconds 30] [--interval 1] [--threads 8] [--processes 2]``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

from airflow_provider_aiopt.telemetry.hardware.machine import Machine, open_machine
from airflow_provider_aiopt.telemetry.hardware.sampler import THREAD, Sampler

CHILD = """
import sys, threading
done = threading.Event()
for _ in range(int(sys.argv[1]) - 1):
    threading.Thread(target=done.wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class TimedOpening:
    """Opens the machine and notes the CPU seconds that it took."""

    cpu_s = 0.0

    def __call__(self) -> Machine:
        """Open it."""
        began = time.thread_time()
        machine = open_machine()
        self.cpu_s = time.thread_time() - began
        return machine


def _surround(stack: ExitStack, threads: int, processes: int) -> None:
    """Start threads here and child processes with as many each, which end with *stack*."""
    done = threading.Event()
    stack.callback(done.set)
    for _ in range(threads - 1):
        threading.Thread(target=done.wait, daemon=True).start()
    for _ in range(processes):
        command = [sys.executable, "-c", CHILD, str(threads)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(child.communicate)
        if child.stdout is not None:
            child.stdout.readline()


def _cpu_s_of_sampler() -> float:
    (thread,) = (thread for thread in threading.enumerate() if thread.name == THREAD)
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to sample (default: 30)")
    parser.add_argument(
        "--interval", type=float, default=1.0, help="seconds between two samples (default: 1)"
    )
    parser.add_argument("--threads", type=int, default=8, help="threads of each process (default: 8)")
    parser.add_argument("--processes", type=int, default=2, help="child processes (default: 2)")
    options = parser.parse_args()
    opening = TimedOpening()
    sampler = Sampler(opening)
    with ExitStack() as stack:
        _surround(stack, options.threads, options.processes)
        began = time.monotonic()
        watch = sampler.begin(options.interval)
        time.sleep(options.seconds)
        cpu_s, wall_s = _cpu_s_of_sampler(), time.monotonic() - began
        use = sampler.end(watch)
    if use is None:
        raise SystemExit("The hardware could not be sampled; a warning above may say why")
    sampling_s = cpu_s - opening.cpu_s
    print(f"{options.processes} child processes, {options.threads} threads each, {len(use.gpus)} GPUs")
    print(f"sampling: {sampling_s / wall_s:.4%} of a core over {wall_s:.0f} s, every {options.interval:g} s")
    print(f"one sample: {sampling_s / (use.samples - 1) * 1e3:.2f} ms of CPU time, {use.samples - 1} taken")
    print(f"opening the machine, once in a process: {opening.cpu_s * 1e3:.1f} ms of CPU time")


if __name__ == "__main__":
    main()
