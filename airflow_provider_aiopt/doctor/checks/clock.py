"""Clocks that do not agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning

_HTTP_RESOLUTION_S = 1.0
_DEFAULT_LEEWAY_S = 10.0
_NOTICEABLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Skew:
    """How far another clock is ahead of this machine's.

    :param whose: the other clock's
    :param seconds: how far, negative where it is behind
    :param uncertainty_s: by how much that may be wrong
    """

    whose: str
    seconds: float
    uncertainty_s: float


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    configuration = context.configuration.get()
    text = None if isinstance(configuration, Skip) else configuration.get("api_auth", "jwt_leeway")
    leeway_s = float(text) if text else _DEFAULT_LEEWAY_S
    database = context.database_time.get()
    if not isinstance(database, Skip):
        yield judge(measure("metadata database", database), leeway_s)
        return
    health = context.health.get()
    if isinstance(health, Skip):
        yield database
        yield health
    elif health.answered_at is None:
        yield Skip(f"{health.url} does not say what time it is")
    else:
        # An HTTP date is cut down to the second.
        ahead = health.answered_at + _HTTP_RESOLUTION_S / 2 - health.asked_at
        uncertainty = (_HTTP_RESOLUTION_S + health.answer_s) / 2
        yield judge(Skew("API server", ahead, uncertainty), leeway_s)


def measure(whose: str, ask: Callable[[], float], *, now: Callable[[], float] = time.time) -> Skew:
    """Ask another clock for the time.

    The answer was given somewhen between question and answer: it is compared with the middle, and half of
    the time between is the uncertainty (Cristian, "Probabilistic clock synchronization", 1989).

    :param ask: returns its time, in seconds since 1970
    :param now: this machine's clock
    """
    before = now()
    answer = ask()
    after = now()
    return Skew(whose, answer - (before + after) / 2, (after - before) / 2)


def judge(skew: Skew, leeway_s: float = _DEFAULT_LEEWAY_S) -> Finding:
    """Judge a skew.

    :param leeway_s: ``[api_auth] jwt_leeway``: by how much the time in a token may differ
    """
    least = max(0.0, abs(skew.seconds) - skew.uncertainty_s)
    direction = "ahead of" if skew.seconds > 0 else "behind"
    evidence = f"{abs(skew.seconds):.2f} s {direction} this machine, give or take {skew.uncertainty_s:.2f} s"
    remedy = "Let an NTP client, such as chrony, set the clocks of all machines"
    if least > leeway_s:
        effect = f"more than [api_auth] jwt_leeway ({leeway_s:g} s): tokens of tasks are refused"
        return error(skew.whose, f"{evidence}, {effect}", remedy)
    if least > _NOTICEABLE_S:
        effect = "times of stages and of Airflow do not fit together, and runs start late"
        return warning(skew.whose, f"{evidence}: {effect}", remedy)
    return ok(skew.whose, evidence)


CLOCK = Check(
    "clock",
    "the clocks of the database, or the API server, and this machine",
    "a skew above 1 s, with which reported waits are wrong, and above `[api_auth] jwt_leeway` (10 s), with "
    "which "
    "tasks' tokens are refused. Within Airflow the database is asked, else the API server's HTTP date",
    _run,
)
