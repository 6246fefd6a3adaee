"""Cores that tasks share."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpy import Environment, Event


class SharedCores:
    """The cores of one machine, shared in equal parts by all threads that want to run.

    Egalitarian processor sharing: Kleinrock, "Time-shared Systems: A Theoretical Treatment", Journal of the
    ACM 14 (2), 1967, for jobs that can use several cores.  While all jobs together can use ``w`` cores,
    neighbours ``n`` on top, and services take ``s`` before, each gets the share ``min(1, (cores - s) / (w +
    n))`` of what it could use, as a fair scheduler of threads gives them.  Since the share is the same for
    all, jobs end in the order of their ends in a *virtual time* that passes at that share, so that a change
    costs no look at the others.

    :param environment: the simulation
    :param cores: how many there are
    :param services: cores that small processes take, whatever else runs
    :param neighbours: threads of others that always want to run
    :param sharing: False: each job has cores of its own, as if there were any number
    """

    def __init__(
        self,
        environment: Environment,
        cores: float,
        *,
        services: float = 0.0,
        neighbours: float = 0.0,
        sharing: bool = True,
    ) -> None:
        self._environment = environment
        self._cores = cores
        self._left = max(_LEAST_LEFT * cores, cores - services)
        self._neighbours = neighbours
        self._sharing = sharing
        self._width = 0.0
        self._virtual_s = 0.0
        self._updated_at = float(environment.now)
        self._jobs: list[tuple[float, int, float, Event]] = []
        self._order = count()
        self._alarm = 0
        self.busy_s = 0.0
        """Core-seconds that jobs have used."""

    @property
    def share(self) -> float:
        """What each job gets of the cores that it could use, 0 to 1."""
        if not self._sharing or not self._jobs:
            return 1.0
        return min(1.0, self._left / (self._width + self._neighbours))

    def work(self, cpu_s: float, width: float) -> Event:
        """Return the event of the end of a job.

        :param cpu_s: core-seconds
        :param width: cores that it can use at once
        """
        self._advance()
        done = self._environment.event()
        if cpu_s <= 0:
            return done.succeed()
        width = min(width, self._cores) if self._sharing else width
        heapq.heappush(self._jobs, (self._virtual_s + cpu_s / width, next(self._order), width, done))
        self._width += width
        self._set_alarm()
        return done

    def settle(self) -> None:
        """Bring :attr:`busy_s` up to the present."""
        self._advance()

    def _advance(self) -> None:
        elapsed_s = self._environment.now - self._updated_at
        share = self.share
        self._virtual_s += elapsed_s * share
        self.busy_s += elapsed_s * share * self._width
        self._updated_at = self._environment.now

    def _set_alarm(self) -> None:
        self._alarm += 1
        if not self._jobs:
            return
        alarm, wait_s = self._alarm, max(0.0, (self._jobs[0][0] - self._virtual_s) / self.share)
        timeout = self._environment.timeout(wait_s)
        timeout.callbacks.append(lambda _: self._end_first() if alarm == self._alarm else None)

    def _end_first(self) -> None:
        self._advance()
        end_s = self._jobs[0][0]
        # Rounding must not leave behind what ends at the same moment.
        while self._jobs and self._jobs[0][0] <= end_s + _SAME_S:
            _, _, width, done = heapq.heappop(self._jobs)
            self._width -= width
            done.succeed()
        if not self._jobs:
            self._width = 0.0
        self._set_alarm()


_SAME_S = 1e-9
_LEAST_LEFT = 0.1  # of the cores: services that take all of them were no small processes
