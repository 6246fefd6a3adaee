from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: socket.create_connection(("127.0.0.1", 9)), "may not use the network"),
        (
            lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
            "may not use the network",
        ),
        (lambda: time.sleep(0), "may not sleep"),
        (lambda: sqlite3.connect(":memory:"), "may not open a database"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_unit_tests_are_held_to_their_rules(action: Callable[[], object], said: str) -> None:
    with pytest.raises(BaseException, match=said):
        action()
