"""The two clocks of a watch, passed in so that tests can turn them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where a watch reads the time.

    :param monotonic: seconds that only ever grow: every decision is made by it
    :param wall: seconds since the epoch: recorded and shown, never decided by
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
