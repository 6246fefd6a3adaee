from __future__ import annotations

import pytest
from helm_chart import Chart, helm_program


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart.copy(helm_program(), tmp_path_factory.mktemp("helm") / "airflow-provider-aiopt")
