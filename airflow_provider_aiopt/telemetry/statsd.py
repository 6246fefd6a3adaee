"""Metrics straight to a StatsD server, for runs outside Airflow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal, Self

from airflow_provider_aiopt.telemetry.catalogue import Metric
from airflow_provider_aiopt.telemetry.names import dotted_name, tagged_name

log = logging.getLogger(__name__)

TagStyle = Literal["dotted", "influx"]
"""How tags travel: within a dotted name, which every server takes, or as InfluxDB's ``name,tag=value``."""

DEFAULT_PORT = 8125
_LARGEST_PORT = 65535


class StatsdMetrics:
    """Sends metrics over UDP; a context manager that closes its socket.

    A server that cannot be resolved costs one warning and no metrics; one that does not listen costs nothing.

    :param host: name or address of the server
    :param port: its UDP port
    :param prefix: first part of every name; Airflow's own default, so that one exporter mapping fits both
    :param tag_style: what the server understands
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        prefix: str | None = "airflow",
        *,
        tag_style: TagStyle = "dotted",
    ) -> None:
        self._name = tagged_name if tag_style == "influx" else dotted_name
        self._client = _connect(host, port, prefix)

    def timing_ms(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Send a timing in milliseconds."""
        if self._client is not None:
            self._client.timing(self._name(metric, tags), value)

    def counter(self, metric: Metric, value: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""
        if self._client is not None:
            self._client.incr(self._name(metric, tags), value)

    def gauge(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge."""
        if self._client is not None:
            self._client.gauge(self._name(metric, tags), value)

    def close(self) -> None:
        """Close the socket; what is sent afterwards is dropped."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        """Return the sink itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self.close()


def parse_address(address: str) -> tuple[str, int]:
    """Split ``host:port``, ``[IPv6 address]:port`` or a host alone, whose port is then :data:`DEFAULT_PORT`.

    :param address: what a user typed
    :returns: host and port
    :raises ValueError: if it is not an address
    """
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _LARGEST_PORT:
        raise ValueError(f"{address!r} is not HOST:PORT with a port from 1 to {_LARGEST_PORT}")
    return host, int(port)


def _connect(host: str, port: int, prefix: str | None) -> Any:
    from statsd import StatsClient

    try:
        return StatsClient(host, port, prefix, ipv6=":" in host)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that no name server could know
        log.warning("No metrics are sent: the StatsD server %s:%s cannot be found: %s", host, port, error)
        return None
