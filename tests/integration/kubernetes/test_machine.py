"""Nothing that a test's Kubernetes starts outlives the tests, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_support import wait_until
from kubernetes_cluster.machine import CGROUPS, Machine, remove_left_cgroups, require_machine

pytestmark = pytest.mark.integration

TESTS = Path(__file__).parents[2]
OWNER = """
import sys, time
from pathlib import Path
from kubernetes_cluster.machine import Machine

with Machine(Path(sys.argv[1])) as machine:
    machine.start("server", "sleep", "987654")
    print(machine.name, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _machine() -> None:
    require_machine()


def servers() -> list[int]:
    """The processes that :data:`OWNER` started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"sleep\x00987654\x00":
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def test_it_ends_with_its_owner_and_leaves_no_control_group(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    owner = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name = owner.stdout.readline().strip()
    wait_until(servers, "the server runs")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: not servers(), "the server is gone")
    wait_until(lambda: not remove_left_cgroups() and not list(CGROUPS.rglob(name)), "its groups are gone")


def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start("server", "sh", "-c", "echo no such volume; exit 3")
        wait_until(lambda: machine.tail("server"), "it has said why")
        with pytest.raises(AssertionError, match=r"server ended with 3:\nno such volume"):
            wait_until(lambda: machine.check() is not None, "it has ended")


def test_the_kernels_parameters_stay_as_they_are(tmp_path: Path) -> None:
    parameter = Path("/proc/sys/kernel/panic")
    before = parameter.read_text()
    with Machine(tmp_path) as machine:
        assert machine.run("cat", parameter) == "10\n"
        machine.run("sh", "-c", f"echo 20 > {parameter}")
        assert parameter.read_text() == before
