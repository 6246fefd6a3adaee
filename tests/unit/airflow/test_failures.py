from __future__ import annotations

import inspect
import sys
from types import ModuleType

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_aiopt import exceptions
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.exceptions import AioptError, MissingExtraError

ERRORS = [
    error
    for _, error in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(error, AioptError) and error is not MissingExtraError
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_only_what_another_attempt_may_mend_is_tried_again(error: type[AioptError]) -> None:
    expected = error if error.retryable else AirflowFailException
    with pytest.raises(expected) as caught, no_vain_retries():
        raise error("why")

    if not error.retryable:
        assert str(caught.value) == f"{error.__name__}: why"
        assert isinstance(caught.value.__cause__, error)


def test_a_missing_extra_fails_with_its_pip_command() -> None:
    with pytest.raises(AirflowFailException, match=r"MissingExtraError: .*pip install"), no_vain_retries():
        raise MissingExtraError("onnxruntime", "cpu", "Running a model")


def test_other_errors_are_airflows_to_judge() -> None:
    with pytest.raises(MemoryError), no_vain_retries():
        raise MemoryError


def test_airflow_3_1_has_the_exception_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldFailError(Exception):
        pass

    old = ModuleType("airflow.exceptions")
    old.AirflowFailException = OldFailError
    monkeypatch.setitem(sys.modules, "airflow.exceptions", old)
    monkeypatch.setitem(sys.modules, "airflow.sdk.exceptions", ModuleType("airflow.sdk.exceptions"))
    with pytest.raises(OldFailError), no_vain_retries():
        raise exceptions.SpecError("wrong")
