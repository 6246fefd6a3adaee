"""Made-up files of ``/proc`` and ``/sys`` in the kernel's own formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

INTERFACES = """\
Inter-|   Receive                          |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
"""


class KernelFiles:
    """The root of a file system that tests fill.

    :param root: an empty folder
    """

    def __init__(self, root: Path) -> None:
        self.path = root

    @property
    def root(self) -> str:
        return str(self.path)

    def write(self, path: str, text: str) -> None:
        target = self.path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def process(
        self,
        pid: int,
        *,
        name: str = "python",
        ticks: tuple[int, int, int, int] = (0, 0, 0, 0),
        pages: int = 0,
        children: tuple[int, ...] = (),
        disk: tuple[int, int] | None = (0, 0),
    ) -> None:
        """Write a process of two threads, the second of which started the children."""
        before = "S 1 1 1 0 -1 4194304 118 0 0 0"
        between = "20 0 2 0 3471583 3133440"
        times = " ".join(map(str, ticks))
        self.write(
            f"proc/{pid}/stat", f"{pid} ({name}) {before} {times} {between} {pages} 18446744073709551615 1\n"
        )
        self.write(f"proc/{pid}/task/{pid}/children", "")
        self.write(f"proc/{pid}/task/{pid + 1}/children", "".join(f"{child} " for child in children))
        if disk is not None:
            self.write(
                f"proc/{pid}/io",
                "rchar: 7279\nwchar: 303\nsyscr: 12\nsyscw: 1\n"
                f"read_bytes: {disk[0]}\nwrite_bytes: {disk[1]}\ncancelled_write_bytes: 0\n",
            )

    def cpu(self, *ticks: int) -> None:
        """Write the host's times in the kernel's order, from user to guest nice."""
        line = " ".join(map(str, ticks))
        self.write("proc/stat", f"cpu  {line}\ncpu0 {line}\nintr 1\n")

    def network(self, interfaces: Mapping[str, tuple[int, int]], devices: tuple[str, ...] = ()) -> None:
        """Write the bytes received and sent by each interface, and which of them are devices."""
        lines = [
            f"{name:>6}: {got} 9 0 0 0 0 0 0 {sent} 9 0 0 0 0 0 0\n"
            for name, (got, sent) in interfaces.items()
        ]
        self.write("proc/net/dev", INTERFACES + "".join(lines))
        for name in interfaces:
            self.write(f"sys/class/net/{name}/operstate", "up\n")
        for name in devices:
            self.write(f"sys/class/net/{name}/device/vendor", "0x1af4\n")
