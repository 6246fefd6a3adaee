"""Where on this machine the hosts, ports and folders of the containers are."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_compose.compose_file import Service

_ADDRESS = re.compile(r"(?<![\w.-])(?P<host>[a-z][a-z0-9-]*):(?P<port>\d+)")
_LISTEN = re.compile(r"(?<==):(?P<port>\d+)$")


@dataclass(frozen=True)
class Places:
    """Translates what containers are told into what processes on loopback have to be told.

    :param ports: the port on loopback of each service and port of its container
    :param volumes: folder of the named volumes
    """

    ports: Mapping[tuple[str, int], int]
    volumes: Path

    def addresses(self, text: str) -> str:
        """Replace every ``SERVICE:PORT`` that has a place here."""

        def local(match: re.Match[str]) -> str:
            port = self.ports.get((match["host"], int(match["port"])))
            return match[0] if port is None else f"127.0.0.1:{port}"

        return _ADDRESS.sub(local, text)

    def path(self, service: Service, text: str) -> str:
        """Replace the paths of a service's mounts, where *text* begins or ends with one."""
        for mount in service.mounts:
            source = mount.source if mount.kind == "bind" else str(self.volumes / mount.source)
            text = re.sub(rf"(?<![\w/]){re.escape(mount.target)}(?![\w-])", lambda _: source, text)  # noqa: B023
        return text

    def argument(self, service: Service, text: str) -> str:
        """Translate one argument of a service's command: its paths, and the port that it listens on."""

        def listen(match: re.Match[str]) -> str:
            return f"127.0.0.1:{self.ports[service.name, int(match['port'])]}"

        return _LISTEN.sub(listen, self.path(service, text))

    def environment(self, service: Service, without: Sequence[str]) -> dict[str, str]:
        """Translate the variables of a service, but for some; a host and its port may be two of them."""
        kept = {name: value for name, value in service.environment.items() if name not in without}
        found = {name: self.path(service, self.addresses(value)) for name, value in kept.items()}
        for name, value in kept.items():
            port = name.removesuffix("_HOST") + "_PORT"
            if name.endswith("_HOST") and port in kept:
                found[name] = "127.0.0.1"
                found[port] = str(self.ports[value, int(kept[port])])
        return found


def free_udp_port() -> int:
    """Return a port of loopback that no UDP socket has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
