"""What a rule is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.laws import gain
from airflow_provider_aiopt.advisor.models import Change, Family, Kind, Recommendation

WORTH = 1.05
"""The least gain that is worth a recommendation: less is lost among what two runs of one "
"program differ by."""

AMDAHL = "Amdahl 1967"
DENNING = "Denning & Buzen 1978"
LITTLE = "Little 1961"
GRAHAM = "Graham 1969"
USE = "Gregg, The USE Method, 2012"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    :param title: what it is, in one line
    :param evidence: the numbers that show it
    :param changes: what to change
    :param saved_s: seconds that this saves of the run's time, by the rule's formula
    """

    title: str
    evidence: tuple[str, ...]
    changes: tuple[Change, ...]
    saved_s: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause of a slow run: how it shows, what to change, and what that is worth.

    :param name: its name, ``family.cause``
    :param family: what it is about
    :param finds: the cause, for the table of rules
    :param changes: what it changes, for the table
    :param formula: how the gain is predicted
    :param assumptions: what has to hold for that
    :param reason: who has shown the law behind it
    :param kind: see :class:`~airflow_provider_aiopt.advisor.models.Recommendation`
    :param look: looks for it; None where the run does not have it, or where its report does not tell
    """

    name: str
    family: Family
    finds: str
    changes: str
    formula: str
    assumptions: str
    reason: str
    look: Callable[[Facts], Finding | None]
    kind: Kind = "setting"

    def judge(self, facts: Facts) -> Recommendation | None:
        """Return what to do about a run, None where the rule finds nothing that is worth it.

        :param facts: the run
        """
        finding = self.look(facts) if facts.elapsed_s > 0 else None
        if finding is None or not math.isfinite(finding.saved_s):  # a report may say what it likes
            return None
        predicted = gain(facts.elapsed_s, finding.saved_s)
        if predicted < WORTH:
            return None
        return Recommendation(
            rule=self.name,
            family=self.family,
            title=finding.title,
            evidence=finding.evidence,
            changes=finding.changes,
            gain=predicted,
            saved_s=facts.elapsed_s * (1 - 1 / predicted),
            formula=self.formula,
            assumptions=self.assumptions,
            reason=self.reason,
            kind=self.kind,
        )
