from __future__ import annotations

import importlib
import pkgutil

from airflow_provider_aiopt.doctor import checks
from airflow_provider_aiopt.doctor.catalogue import CHECKS
from airflow_provider_aiopt.doctor.check import Check


def test_every_check_is_listed_once() -> None:
    modules = [
        importlib.import_module(f"{checks.__name__}.{info.name}")
        for info in pkgutil.iter_modules(checks.__path__)
    ]
    defined = {id(value) for module in modules for value in vars(module).values() if isinstance(value, Check)}
    assert {id(check) for check in CHECKS} == defined
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_ids_are_easy_to_type() -> None:
    assert all(check.id.replace("-", "").isalpha() and check.id.islower() for check in CHECKS)
