"""Configurations and pools of Airflows that do not exist, for the tests of what looks at them."""

from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.get_provider_info import CONFIG
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

DECLARED = CONFIG["aiopt"]["options"]
AIRFLOW_DEFAULTS = {
    "core.executor": "LocalExecutor",
    "core.parallelism": "32",
    "core.max_active_tasks_per_dag": "16",
    "core.max_active_runs_per_dag": "16",
    "core.max_map_length": "1024",
}


def read_options(**changed: Any) -> ConcurrencyOptions:
    """Return the options with their defaults, but for *changed*."""
    return ConcurrencyOptions.read(lambda name: str(changed.get(name, DECLARED[name]["default"])))


class FakeConfiguration:
    """A configuration with the defaults, but for *changed*, which has ``section.key`` as its keys."""

    origin = "the test"

    def __init__(self, **changed: str | None) -> None:
        options = {f"aiopt.{name}": declared["default"] for name, declared in DECLARED.items()}
        self._values: dict[str, str | None] = AIRFLOW_DEFAULTS | options | changed

    def get(self, section: str, key: str) -> str | None:
        return self._values.get(f"{section}.{key}")


class FakePools:
    """Airflow's pools in memory."""

    def __init__(
        self,
        *found: AirflowPool,
        appears: AirflowPool | None = None,
        always_conflicts: bool = False,
        forbids: bool = False,
    ) -> None:
        self._pools = {pool.name: pool for pool in found}
        self._appears = appears
        self._always_conflicts = always_conflicts
        self._forbids = forbids
        self.descriptions: dict[str, str] = {}
        self.changes = 0

    def pools(self) -> dict[str, AirflowPool]:
        return dict(self._pools)

    def create_pool(self, pool: AirflowPool, description: str) -> None:
        if self._forbids:
            raise AirflowApiError("forbidden", 403)
        if self._appears is not None:
            self._pools[pool.name] = self._appears
        if self._always_conflicts or pool.name in self._pools:
            raise AirflowApiError("conflict", 409)
        self.changes += 1
        self._pools[pool.name] = pool
        self.descriptions[pool.name] = description

    def update_pool(self, pool: AirflowPool) -> None:
        assert pool.name in self._pools
        self.changes += 1
        self._pools[pool.name] = pool


class FakeAirflow(FakePools):
    """Stands in for the client of Airflow's API, and for the Airflow behind it."""

    def __init__(self) -> None:
        super().__init__(AirflowPool("default_pool", 128, include_deferred=False))
        self.logins: list[tuple[str, dict[str, str | None]]] = []
        self.values = AIRFLOW_DEFAULTS | {f"aiopt.{name}": item["default"] for name, item in DECLARED.items()}
        self.refuses_pools = False
        self.url = ""

    def __call__(self, url: str, **credentials: str | None) -> FakeAirflow:
        self.url = url
        self.logins.append((url, credentials))
        return self

    def pools(self) -> dict[str, AirflowPool]:
        if self.refuses_pools:
            raise AirflowApiError("GET /api/v2/pools answered HTTP 401", 401)
        return super().pools()

    def configuration(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for name, value in self.values.items():
            section, _, key = name.partition(".")
            found.setdefault(section, {})[key] = value
        return found
