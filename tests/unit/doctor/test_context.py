from __future__ import annotations

from airflow_provider_aiopt.doctor.context import Fact, unknown
from airflow_provider_aiopt.doctor.models import Skip
from airflow_provider_aiopt.exceptions import AirflowApiError


def test_a_fact_is_found_out_once() -> None:
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        return len(asked)

    fact = Fact(ask)
    assert (fact.get(), fact.get(), asked) == (1, 1, [1])


def test_nobody_is_asked_twice_in_vain() -> None:
    asked: list[int] = []

    def refuse() -> int:
        asked.append(1)
        raise AirflowApiError("no")

    fact = Fact(refuse)
    assert (fact.get(), fact.get(), asked) == (Skip("no", unanswered=True), Skip("no", unanswered=True), [1])


def test_what_nobody_knows_says_why() -> None:
    assert unknown("because").get() == Skip("because")
    assert Fact.of(3).get() == 3
