from __future__ import annotations

import logging
import socket

import pytest

from airflow_provider_aiopt.telemetry.metrics import emit_stage_report
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics, parse_address
from airflow_provider_aiopt.telemetry.testing import make_stage_report


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("localhost:9125", ("localhost", 9125)),
        ("statsd", ("statsd", 8125)),
        ("[::1]:9125", ("::1", 9125)),
        ("[::1]", ("::1", 8125)),
    ],
)
def test_address(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address", ["", ":8125", "host:", "host:x", "host:0", "host:65536", "host:-1", "host:²"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT with a port from 1 to 65535"):
        parse_address(address)


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")]
)
def test_a_server_that_cannot_be_found_costs_one_warning(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("socket.getaddrinfo", fail)

    with caplog.at_level(logging.WARNING):
        emit_stage_report(make_stage_report(), StatsdMetrics("nowhere.invalid"))

    (record,) = caplog.records
    assert "nowhere.invalid:8125 cannot be found" in record.getMessage()
