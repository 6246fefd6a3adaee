"""Unit tests reach no network, do not sleep and open no database, Airflow's among them."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from typing import NoReturn

import pytest


class ForbiddenInUnitTestError(BaseException):
    """A unit test did what only tests elsewhere may do.

    No ``Exception``: code under test that forgives those must not hide it.
    """


def _forbidden(action: str, remedy: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise ForbiddenInUnitTestError(f"A unit test may not {action}: {remedy}")

    return refuse


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _forbidden("use the network", "give the code a fake, or move the test to tests/integration")
    for method in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, method, network)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", _forbidden("sleep", "pass a clock in, or wait for an event"))


@pytest.fixture(autouse=True)
def _no_airflow_database(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Airflow connects to where nothing else is configured; a server's database would need the network.
    database = _forbidden("open a database", "pass in what is asked of Airflow, or use tests/integration")
    monkeypatch.setattr(sqlite3, "connect", database)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", database)
