"""The checks of ``aiopt doctor``.

A check is a small module with a :class:`~airflow_provider_aiopt.deployment.checks.base.Check`, which is
listed in :data:`CHECKS`.
"""

from __future__ import annotations

from airflow_provider_aiopt.deployment.checks.base import Check, Deployment, Finding
from airflow_provider_aiopt.deployment.checks.limits import LIMITS
from airflow_provider_aiopt.deployment.checks.pools import POOLS
from airflow_provider_aiopt.deployment.checks.profile import PROFILE

CHECKS: tuple[Check, ...] = (LIMITS, POOLS, PROFILE)
"""Every check, in the order in which their findings are shown."""


def examine(deployment: Deployment) -> tuple[Finding, ...]:
    """Run every check on a deployment."""
    return tuple(finding for check in CHECKS for finding in check.run(deployment))
