"""A part of this machine for a cluster: its processes, mounts, network and control groups go together.

A kubelet changes the machine it runs on: it sets kernel parameters, mounts volumes and starts containers
whose processes outlive it.  In namespaces of its own all that ends with their first process, by the kernel's
hand; and that one ends when the tests do, however they end.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from components import requires_program, requires_success, skip_absent

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "aiopt-kube-"
_FIRST = "echo ready; while read -r line; do :; done"
"""What process 1 does: it waits for the end of its input."""

_SUBNETS = ipaddress.ip_network("198.18.0.0/15")
"""For links between two machines under test, RFC 2544; nothing else should use it."""

_PARAMETERS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet wants the kernel to be set to.  It finds it set so, and the kernel stays as it is."""


def require_machine() -> None:
    """Skip unless there may be such a part of this machine."""
    requires_program("ip", "apt-get install iproute2")
    how = "needs root, and the right to make namespaces and control groups"
    requires_success("namespaces", ["unshare", "--mount", "--pid", "--net", "--fork", "true"], how)
    if not all(os.access(controller, os.W_OK) for controller in _controllers()):
        skip_absent("control groups", how)


class Machine:
    """Namespaces and control groups with a name, and a link to them.

    :param folder: where logs and files go
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
        self.cgroup = f"/{self.name}"
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._first: subprocess.Popen[bytes] | None = None
        self._pid = 0
        networks = 1 << (30 - _SUBNETS.prefixlen)
        chosen = int(_SUBNETS.network_address) + 4 * secrets.randbelow(networks)
        self.host_address = str(ipaddress.ip_address(chosen + 1))
        self.address = str(ipaddress.ip_address(chosen + 2))
        """Where its servers listen; only this machine reaches it."""

    def __enter__(self) -> Self:
        remove_left_cgroups()
        namespaces = ("--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc")
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "sh", "-c", _FIRST]
        self._first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert self._first.stdout is not None
            assert self._first.stdout.readline() == b"ready\n", "no namespaces can be made"
            (self._pid,) = _children(self._first.pid)
            self._make_cgroups()
            self._link()
            self._mask()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._first is not None
        assert self._first.stdin is not None
        assert self._first.stdout is not None
        self._first.stdin.close()
        self._first.wait(30)
        self._first.stdout.close()
        for program in self._programs.values():
            program.wait(30)
        remove_cgroups(self.name)

    def run(self, *command: str | Path, timeout: float = 120) -> str:
        """Run a command in there and return what it wrote to standard output."""
        done = self._run(command, timeout)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def succeeds(self, *command: str | Path, timeout: float = 30) -> bool:
        """Run a command in there and return whether it ended with 0."""
        return self._run(command, timeout).returncode == 0

    def start(self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Start a server in there.

        :param name: of its log
        :param environment: further variables
        """
        with self._log(name).open("wb") as log:
            self._programs[name] = subprocess.Popen(
                self._inside(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}),
            )

    def check(self) -> None:
        """Fail if a server has ended, with the end of its log."""
        for name, program in self._programs.items():
            if program.poll() is not None:
                raise AssertionError(f"{name} ended with {program.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 30) -> str:
        """Return the last lines of a server's log."""
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])

    def _run(self, command: Sequence[str | Path], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._inside(command), capture_output=True, text=True, check=False, timeout=timeout
        )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid", "--", *map(str, command)]

    def _link(self) -> None:
        """Connect it with this machine, and with nothing else."""
        link = f"aiopt-{self.name.rpartition('-')[2]}"
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid))
        _ip("address", "add", f"{self.host_address}/30", "dev", link)
        _ip("link", "set", link, "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/30", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        # Kubelets and CNI plugins look for the address of the machine at its default route.
        self.run("ip", "route", "add", "default", "via", self.host_address)

    def _mask(self) -> None:
        """Lay folders of its own over fixed paths that a node writes to, and files over kernel parameters."""
        for path in ("/run", "/var/log", "/var/lib"):
            self.run("mount", "-t", "tmpfs", "tmpfs", path)
        for name, value in _PARAMETERS.items():
            mask = self.folder / name.replace("/", ".")
            mask.write_text(f"{value}\n")
            self.run("mount", "--bind", mask, f"/proc/sys/{name}")

    def _make_cgroups(self) -> None:
        for controller in _controllers():
            made = controller / self.name
            made.mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):
                # Version 1: a new group has none, and takes no process until it has.
                if (controller / setting).exists() and "cpuset" in controller.name:
                    (made / setting).write_text((controller / setting).read_text())


def remove_left_cgroups() -> None:
    """Remove the control groups of clusters whose tests were killed."""
    for name in {path.name for controller in _controllers() for path in controller.glob(f"{PREFIX}*")}:
        owner = name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            remove_cgroups(name, timeout=0)


def remove_cgroups(name: str, *, timeout: float = 10) -> None:
    """Remove a control group and those in it, once the kernel is done with their processes."""
    deadline = time.monotonic() + timeout
    for controller in _controllers():
        while (root := controller / name).exists():
            for path in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    path.rmdir()
            with contextlib.suppress(OSError):
                root.rmdir()
            if root.exists():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)


def _controllers() -> Iterator[Path]:
    """Yield the hierarchies: of version 2 the one there is, of version 1 one for each controller."""
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS
        return
    for path in sorted(CGROUPS.iterdir()):
        if not path.is_symlink() and (path / "cgroup.procs").exists():
            yield path


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
