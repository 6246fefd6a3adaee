"""A Redis of the tests' own, on loopback."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from airflow_support import wait_until
from components import requires_program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class RedisServer:
    """A Redis on a free port, which keeps nothing on disk.

    :param folder: its working folder
    :param options: further arguments of ``redis-server``
    """

    def __init__(self, folder: Path, *options: str) -> None:
        program = requires_program("redis-server", "apt-get install redis-server")
        self.port = free_port()
        self.uri = f"redis://127.0.0.1:{self.port}/0"
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)]
        self.process = subprocess.Popen([*command, "--save", "", *options], stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(self.port), "Redis listens")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
