"""The laws that the rules predict with: each a formula and its source."""

from __future__ import annotations

import math


def utilisation(busy_s: float, elapsed_s: float, servers: int = 1) -> float:
    """Return how much of their time *servers* worked: the utilisation law ``U = X D / m``.

    Denning and Buzen, "The Operational Analysis of Queueing Network Models", Computing Surveys 10 (3), 1978.

    :param busy_s: seconds of work, all servers together
    :param elapsed_s: seconds that passed
    :param servers: how many there are
    """
    return busy_s / (elapsed_s * servers) if elapsed_s > 0 and servers > 0 else 0.0


def in_progress(total_s: float, elapsed_s: float) -> float:
    """Return how many of something were under way on average: Little's law ``L = X W``.

    Little, "A Proof for the Queuing Formula L = λW", Operations Research 9 (3), 1961.

    :param total_s: the sum of how long each took
    :param elapsed_s: seconds that passed
    """
    return total_s / elapsed_s if elapsed_s > 0 else 0.0


def least_elapsed_s(demand_s: float, servers: float) -> float:
    """Return what work takes at best where it is spread over *servers*: the bound ``T >= D / m``.

    Denning and Buzen, 1978.

    :param demand_s: seconds of work
    :param servers: how many work side by side
    """
    return demand_s / max(1e-9, servers)


def makespan_s(tasks: int, each_s: float, demand_s: float, slots: int, cores: int) -> float:
    """Return how long equal *tasks* take that begin with their CPU time and wait in the rest.

    They run in waves of *slots*.  Those of a wave start together, so that their CPU times share the *cores*,
    and the last of them waits when all are done.  For the waves of equal tasks: Graham, "Bounds on
    Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17 (2), 1969; for the sharing within a wave:
    Denning and Buzen, 1978.

    :param tasks: how many there are
    :param each_s: how long one takes
    :param demand_s: CPU time of one
    :param slots: how many may run at once
    :param cores: cores that they share
    """
    at_once = min(tasks, slots)
    demand = min(demand_s, each_s)
    wave_s = max(demand, least_elapsed_s(at_once * demand, cores)) + each_s - demand
    return math.ceil(tasks / slots) * wave_s


def gain(elapsed_s: float, saved_s: float) -> float:
    """Return by how much a run gets faster that is spared *saved_s*: Amdahl's law.

    Amdahl, "Validity of the Single Processor Approach to Achieving Large Scale Computing Capabilities", AFIPS
    1967.

    :param elapsed_s: the run's time now
    :param saved_s: what a change saves of it; at most 99 % are believed
    """
    if elapsed_s <= 0:
        return 1.0
    saved = min(max(0.0, saved_s), _MOST_SAVED * elapsed_s)
    return elapsed_s / (elapsed_s - saved)


_MOST_SAVED = 0.99
