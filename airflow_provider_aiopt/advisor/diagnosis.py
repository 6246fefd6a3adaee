"""From a run's report to what limits it and what to change."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.breakdown import time_shares
from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Diagnosis
from airflow_provider_aiopt.advisor.rules import RULES
from airflow_provider_aiopt.telemetry.reports import RunReport

_MOST = 5


def diagnose(report: RunReport) -> Diagnosis:
    """Say what limits a run and what to change, the most promising first.

    :param report: the run's report; with Airflow's own times in it the scheduler and queues are judged, too
    """
    facts = Facts(report)
    found = [advice for rule in RULES if (advice := rule.judge(facts)) is not None]
    ranked = sorted(found, key=lambda advice: advice.rank, reverse=True)[:_MOST]
    shares = time_shares(facts)
    causes = (advice.family for advice in ranked if advice.kind == "setting")
    limit = next(causes, None) or next(iter(shares), None)
    return Diagnosis(elapsed_s=facts.elapsed_s, limit=limit, shares=shares, recommendations=tuple(ranked))
