"""What the Kubernetes client's errors mean."""

from __future__ import annotations

import pytest
from components import requires

requires("kubernetes", "make install")

from kubernetes.client.exceptions import ApiException  # noqa: E402  # needs the extra

from airflow_provider_aiopt.airflow.kubernetes_api import forbidden  # noqa: E402  # the same


def raised(first: Exception, *others: Exception) -> Exception:
    """An error that came of cleaning up behind another, and so on."""
    try:
        try:
            raise first
        finally:
            if others:
                raise raised(*others)
    except Exception as error:  # noqa: BLE001  # that is what is looked at
        return error


@pytest.mark.parametrize("behind", [(), (ValueError("cleaned up"),), (ValueError(), OSError())])
def test_a_refusal_is_found_behind_what_it_led_to(behind: tuple[Exception, ...]) -> None:
    refusal = ApiException(status=403)
    assert forbidden(raised(refusal, *behind)) is refusal


@pytest.mark.parametrize("error", [None, ValueError(), ApiException(status=404), ApiException(status=500)])
def test_other_errors_are_no_refusals(error: Exception | None) -> None:
    assert forbidden(error) is None
