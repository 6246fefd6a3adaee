"""Worker processes that crash, hang or are left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import worker_calls

from airflow_provider_aiopt.data.processes import LimitedProcesses
from airflow_provider_aiopt.exceptions import ProcessStartError

TESTS = Path(__file__).parents[1]


def make_pool(processes: int = 2, **options: Any) -> LimitedProcesses:
    settings: dict[str, Any] = {
        "limit_s": 60.0,
        "on_timeout": lambda: "too long",
        "on_crash": lambda how: f"the process {how}",
        "initializer": worker_calls.ready,
    }
    return LimitedProcesses(processes, **settings | options)


@pytest.fixture
def pool() -> Iterator[LimitedProcesses]:
    with make_pool() as made:
        yield made


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(*pids: int) -> None:
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "a process is left behind"
        time.sleep(0.02)


def test_results_come_in_order_and_processes_are_kept(pool: LimitedProcesses) -> None:
    assert list(pool.map(worker_calls.double, range(50))) == [2 * value for value in range(50)]
    used = set(pool.map(worker_calls.pid, range(20)))
    assert len(used) <= 2
    assert os.getpid() not in used
    assert pool.submit(worker_calls.double, 4).result() == 8


def test_a_call_of_many_megabytes(pool: LimitedProcesses) -> None:
    value = os.urandom(20_000_000)
    assert list(pool.map(worker_calls.misbehave, [value, value])) == [value, value]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("segfault", "the process was killed by SIGSEGV"),
        ("killed", "the process was killed by SIGKILL, as the kernel does where memory runs out"),
        ("exit", "the process ended with exit code 7"),
    ],
)
def test_a_crash_costs_the_call_that_it_happened_in(pool: LimitedProcesses, what: str, told: str) -> None:
    assert list(pool.map(worker_calls.misbehave, [1, 2, what, 3, what, 4])) == [1, 2, told, 3, told, 4]


def test_a_call_that_nothing_but_a_kill_can_stop() -> None:
    with make_pool(limit_s=0.5) as pool:
        pids = set(pool.map(worker_calls.pid, range(8)))
        assert list(pool.map(worker_calls.misbehave, [1, "hang", 2])) == [1, "too long", 2]
        others = set(pool.map(worker_calls.pid, range(8)))
    assert pids != others
    wait_for_end(*pids, *others)


def test_errors_are_raised_here(pool: LimitedProcesses) -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        pool.map(worker_calls.misbehave, [1, "raise"])
    with pytest.raises(TypeError, match="cannot be pickled"):
        pool.submit(worker_calls.misbehave, "unpicklable").result()
    assert list(pool.map(worker_calls.double, [1])) == [2]


def test_several_threads_share_the_processes() -> None:
    with make_pool(width=1) as pool, ThreadPoolExecutor(4) as threads:
        asked = [
            ["exit" if number % 3 == 0 else number for number in range(base, base + 5)] for base in range(8)
        ]
        answered = list(threads.map(lambda items: list(pool.map(worker_calls.misbehave, items)), asked))
    told = "the process ended with exit code 7"
    assert answered == [[told if item == "exit" else item for item in items] for items in asked]


def test_one_that_was_killed_while_it_was_idle_is_replaced(pool: LimitedProcesses) -> None:
    pid = pool.submit(worker_calls.pid).result()
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert pool.submit(worker_calls.double, 1).result() == 2


@pytest.mark.parametrize(
    ("initializer", "error", "told"),
    [
        (worker_calls.dies, ProcessStartError, "ended with exit code 3 before it was ready"),
        (worker_calls.raises, LookupError, "nothing there"),
        (worker_calls.hold_the_interpreter, ProcessStartError, "was not ready after 2 s and was killed"),
    ],
)
def test_what_cannot_be_started_is_no_records_fault(initializer: Any, error: Any, told: str) -> None:
    with make_pool(initializer=initializer, start_limit_s=2.0) as pool, pytest.raises(error, match=told):
        pool.map(worker_calls.double, [1])


def test_the_cpu_time_of_calls_is_told() -> None:
    told: list[float] = []
    with make_pool(on_cpu=told.append) as pool:
        pool.map(worker_calls.spin, [0.05, 0.05])
    assert len(told) == 2
    assert min(told) >= 0.05


def test_processes_start_side_by_side(tmp_path: Path) -> None:
    with make_pool(initializer=partial(worker_calls.meet, str(tmp_path))) as pool:
        assert list(pool.map(worker_calls.double, [1, 2])) == [2, 4]


def test_what_they_print_goes_to_standard_error(
    pool: LimitedProcesses, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.submit(worker_calls.say, "hello").result()
    assert capfd.readouterr() == ("", "hello\n")


@pytest.mark.parametrize("how", ["exit", "terminate", "kill", "interrupt"])
def test_no_process_outlives_the_one_that_started_it(how: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); "
        "import worker_calls; worker_calls.parent(*sys.argv[1:])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(file), how], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _parent_of(entry) == process.pid
    ]
    assert int(file.read_text()) in children or how == "exit"
    sent = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL, "interrupt": signal.SIGINT}.get(how)
    if sent is not None:
        process.send_signal(sent)
    process.wait(60)
    wait_for_end(process.pid, int(file.read_text()), *children)


def _parent_of(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
