from __future__ import annotations

import importlib
import pkgutil

from deployments import FakeConfiguration

from airflow_provider_aiopt.deployment import checks
from airflow_provider_aiopt.deployment.checks import CHECKS, examine
from airflow_provider_aiopt.deployment.checks.base import Check, Deployment


def test_every_check_is_listed_once() -> None:
    modules = [
        importlib.import_module(f"{checks.__name__}.{info.name}")
        for info in pkgutil.iter_modules(checks.__path__)
    ]
    defined = {id(value) for module in modules for value in vars(module).values() if isinstance(value, Check)}
    assert {id(check) for check in CHECKS} == defined
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_findings_of_all_checks_come_together_and_name_their_check() -> None:
    found = examine(Deployment(FakeConfiguration(**{"core.parallelism": "0"}), no_pools="none"))
    assert [finding.check for finding in found] == ["limits", "pools"]
