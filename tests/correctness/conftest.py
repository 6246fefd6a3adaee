from __future__ import annotations

import pytest
from dag_test import DagTester
from model_fixtures import efficientnet_lite0_fp32

__all__ = ["efficientnet_lite0_fp32"]


@pytest.fixture(scope="session")
def dag_tester(tmp_path_factory: pytest.TempPathFactory) -> DagTester:
    return DagTester(tmp_path_factory.mktemp("airflow"))
