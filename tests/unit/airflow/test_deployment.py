"""What needs no database; ``tests/integration/doctor`` asks a real one."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_aiopt.airflow.deployment import AirflowDeployment
from airflow_provider_aiopt.exceptions import DoctorError

UTILS = "airflow.providers.celery.executors.celery_executor_utils"


def install_celery(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def active_queues() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    inspect = lambda timeout: SimpleNamespace(active_queues=active_queues)  # noqa: E731 - as short as it can be
    module = ModuleType(UTILS)
    module.app = SimpleNamespace(control=SimpleNamespace(inspect=inspect))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, UTILS, module)


def test_the_queues_of_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = [{"name": "default"}], [{"name": "default"}, {"name": "gpu"}]
    install_celery(monkeypatch, {"celery@a": one, "celery@b": other})
    assert AirflowDeployment().served_queues() == {"default", "gpu"}


def test_no_worker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    install_celery(monkeypatch, None)
    assert AirflowDeployment().served_queues() == frozenset()


def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    install_celery(monkeypatch, ConnectionError("refused"))
    with pytest.raises(DoctorError, match="Celery's broker does not answer: refused"):
        AirflowDeployment().served_queues()


def test_a_provider_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, UTILS, None)
    with pytest.raises(DoctorError, match="Celery provider cannot be imported"):
        AirflowDeployment().served_queues()


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.utils import session

    def create_session() -> Any:
        raise OperationalError("SELECT 1", {}, Exception("no such host\nsecond line"))

    monkeypatch.setattr(session, "create_session", create_session)
    for ask in (AirflowDeployment().pools, AirflowDeployment().dags, AirflowDeployment().database_time):
        with pytest.raises(DoctorError, match=r"metadata database cannot be read: .*no such host$"):
            ask()
