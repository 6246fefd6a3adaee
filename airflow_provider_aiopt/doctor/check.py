"""What a check is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_aiopt.doctor.models import Finding, Skip

if TYPE_CHECKING:
    from airflow_provider_aiopt.doctor.context import CheckContext

DEFAULT_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check of ``aiopt doctor``.

    :param id: what ``--only`` and ``--skip`` call it
    :param title: what it looks at, in one line
    :param finds: what it can find, for the table of ``docs/doctor.md``
    :param run: yields what it finds; a :class:`Skip` where it has nothing to look at
    :param limit_s: seconds after which nobody waits for it any longer
    """

    id: str
    title: str
    finds: str
    run: Callable[[CheckContext], Iterable[Finding | Skip]]
    limit_s: float = DEFAULT_LIMIT_S
