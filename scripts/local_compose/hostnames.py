"""The name that a component of a local Compose has in Airflow: on one machine all have the same host."""

from __future__ import annotations

import os
import socket

VARIABLE = "LOCAL_COMPOSE_HOSTNAME"


def hostname() -> str:
    """Return what ``[core] hostname_callable`` asks for: the container's name where this were one."""
    return os.environ.get(VARIABLE) or socket.gethostname()
