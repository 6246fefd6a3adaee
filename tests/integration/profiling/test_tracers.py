"""strace and py-spy on this very process: real attaching, real refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from components import requires, requires_success
from pipelines import CLI, Site

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.calibration import CalibrationProcess
from airflow_provider_aiopt.profiling.overhead import Overhead
from airflow_provider_aiopt.profiling.pyspy import PySpySampler
from airflow_provider_aiopt.profiling.syscalls import SystemCallCounter
from airflow_provider_aiopt.profiling.tracer import Tracer

pytestmark = pytest.mark.integration

INSTALL = "apt-get install strace; tracing has to be permitted"
LOOKUPS = 500


@pytest.fixture(scope="module", autouse=True)
def _permitted() -> None:
    requires("line_profiler", "uv pip install --group test")  # the group has py-spy, too, which is no module
    requires_success("strace", ["strace", "-c", "-o", os.devnull, "true"], INSTALL)


def profile(
    kind: type[StageProfiler], folder: Path, work: Callable[[], object]
) -> tuple[dict[str, Any], Overhead]:
    profiler = kind(ProfileRequest(kind.kind))
    try:
        profiler.start()
        profiler.begin()
        try:
            work()
        finally:
            profiler.end()
        facts, overhead = profiler.write(folder), profiler.overhead()
        assert overhead is not None
        return facts, overhead
    finally:
        profiler.abandon()


def look_up() -> None:
    """Fail to find a file, on a thread that begins only now."""

    def work() -> None:
        for _ in range(LOOKUPS):
            Path("/no/such/file").exists()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def burn_a_second() -> None:
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sum(range(1000))


def test_system_calls_are_counted_on_all_threads(tmp_path: Path) -> None:
    facts, overhead = profile(SystemCallCounter, tmp_path, look_up)
    calls = {row["name"]: row for row in json.loads((tmp_path / "syscalls.json").read_text())}
    looked_up = [row for name, row in calls.items() if "stat" in name and row["errors"] >= LOOKUPS]
    assert looked_up, calls
    assert str(looked_up[0]["name"]) in (tmp_path / "syscalls.txt").read_text()
    assert facts["calls"] == sum(row["calls"] for row in calls.values())
    assert overhead.seconds > LOOKUPS * 1e-6
    assert overhead.low <= overhead.share <= overhead.high


def test_stacks_are_sampled(tmp_path: Path) -> None:
    facts, overhead = profile(PySpySampler, tmp_path, burn_a_second)
    assert "burn_a_second" in (tmp_path / "stacks.txt").read_text()
    assert "burn_a_second" in (tmp_path / "flamegraph.svg").read_text()
    assert facts["samples"] > 20
    assert 0 == overhead.low < overhead.share == overhead.high


def test_the_process_goes_on_untraced_afterwards(tmp_path: Path) -> None:
    for kind in (SystemCallCounter, PySpySampler, SystemCallCounter):
        profile(kind, tmp_path, burn_a_second if kind is PySpySampler else look_up)
        status = Path("/proc/self/status").read_text()
        assert "TracerPid:\t0\n" in status


_AS_IN_A_BARE_CONTAINER = """
import ctypes, sys
from airflow_provider_aiopt.cli.main import main

# What is started from now on may trace nothing that has more capabilities than itself, such as this process.
assert ctypes.CDLL(None).prctl(24, 19, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["syscalls", "pyspy"])
def test_a_refusal_comes_before_the_stage_and_says_what_to_do(kind: str, tmp_path: Path) -> None:
    requires_success("setpriv", ["setpriv", "--bounding-set=-sys_ptrace", "true"], "run as root")
    site = Site(tmp_path)
    site.add_plain(2)
    command = [sys.executable, "-c", _AS_IN_A_BARE_CONTAINER, *site.arguments(), "--profile", kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    for told in ("may not look into process", "--cap-add SYS_PTRACE", "kernel.yama.ptrace_scope"):
        assert told in ran.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("kind", ["syscalls", "pyspy"])
def test_a_whole_run_has_the_same_results(kind: str, tmp_path: Path) -> None:
    """As another process: what a run does to itself must not be seen by the tests that follow."""
    site = Site(tmp_path)
    site.add_plain(12)
    expected = site.run("plain").rows
    arguments = site.arguments("traced", execution__batch_size=1)
    ran = subprocess.run(
        [*CLI, *arguments, "--profile", kind, "--profile-stage", "inference", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert {key: row["output"] for key, row in site.outcome("traced").rows.items()} == {
        key: row["output"] for key, row in expected.items()
    }
    tasks = json.loads(ran.stdout)["tasks"]
    profiles = {
        task["stage"]: task["details"]["profile"]["kind"] for task in tasks if "profile" in task["details"]
    }
    assert profiles == {"inference": kind}


_AS_AIRFLOW_DOES = """
import ctypes, sys
from pathlib import Path
from typing import Any
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.profiler import profiler_class

def dumpable(*value):
    return ctypes.CDLL(None).prctl(4 if value else 3, *(value or (0,)), 0, 0, 0)

dumpable(0)
profiler = profiler_class(sys.argv[1])(ProfileRequest(sys.argv[1]))
profiler.start()
profiler.begin()
within = dumpable()
for _ in range(200):
    sum(range(100_000)), Path("/no/such/file").exists()
profiler.end()
profiler.write(Path(sys.argv[2]))
profiler.abandon()
print(within, dumpable())
"""


@pytest.mark.parametrize("kind", ["syscalls", "pyspy"])
def test_a_task_that_airflow_hides_from_others_can_be_profiled_and_is_hidden_again(
    kind: str, tmp_path: Path
) -> None:
    """Without the capability that root has, as workers are: then the kernel asks whether it is hidden."""
    unprivileged = ["setpriv", "--bounding-set=-sys_ptrace"]
    requires_success("setpriv", [*unprivileged, "true"], "apt-get install util-linux; run as root")
    command = [*unprivileged, sys.executable, "-c", _AS_AIRFLOW_DOES, kind, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["1", "0"]
    assert list(tmp_path.glob("s*.txt"))


def test_a_program_that_is_not_attached_is_killed_and_told_of() -> None:
    with pytest.raises(ProfilingError, match="ended with code 3: it said this"):
        Tracer(["sh", "-c", "echo it said this; exit 3"], attached="never", pid=1)


def test_a_program_that_ends_by_itself_is_told_of() -> None:
    tracer = Tracer(["sh", "-c", "echo attached; exit 4"], attached="attached", pid=1)
    tracer._process.wait()
    with pytest.raises(ProfilingError, match="ended by itself with code 4"):
        tracer.stop()
    tracer.kill()


def test_the_calibration_measures_what_a_block_takes() -> None:
    work = "began = clock()\nwhile clock() < began + 0.01: pass\nseconds += [clock() - began, os.getppid()]"
    with CalibrationProcess(work) as process:
        first, second = process.measure(), process.measure()
    assert first[1:] == second[1:] == [os.getpid()]
    assert all(0.01 <= seconds < 1 for seconds in [first[0], second[0]])
    assert not Path(f"/proc/{process.pid}").exists()
