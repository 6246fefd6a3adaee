"""An auth manager for tests: Airflow's simple one knows roles, but no user who may not read a DAG."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

STRANGER = "stranger"
"""The user who may log in and read no DAG."""


class RestrictedAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, with one user who has access to no DAG."""

    def is_authorized_dag(self, *, user: Any, **what: Any) -> bool:
        """Refuse :data:`STRANGER`; decide for others as ever."""
        return user.username != STRANGER and bool(super().is_authorized_dag(user=user, **what))
