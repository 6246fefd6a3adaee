"""The bridge to Airflow's metrics, against stand-ins with the module layouts of its releases."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
from airflow_provider_aiopt.telemetry.catalogue import STAGE_DURATION, STAGE_ITEMS, STAGE_PEAK_MEMORY

TAGS = {"dag_id": "my.dag", "task_id": "infer", "stage": "inference"}
DOTTED = "my__dag.infer.inference"


class Conf:
    def __init__(self, **options: bool) -> None:
        self.options = options

    def getboolean(self, section: str, option: str, fallback: bool) -> bool:
        assert section == "metrics"
        return self.options.get(option, fallback)


class Stats:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def timing(self, name: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        self.calls.append(("timing", name, value, tags))

    def incr(self, name: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
        self.calls.append(("incr", name, count, tags))

    def gauge(self, name: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        self.calls.append(("gauge", name, value, tags))


def install(monkeypatch: pytest.MonkeyPatch, conf: Conf, stats: Any, *, sdk: bool = True) -> None:
    """Put modules in the place of Airflow's: the SDK's as of 3.2, or core's as of 3.1."""
    for name in [name for name in sys.modules if name.split(".")[0] == "airflow"]:
        monkeypatch.delitem(sys.modules, name)
    names = {"airflow": {}, "airflow.sdk": {}}
    if sdk:
        names |= {
            "airflow.sdk.configuration": {"conf": conf},
            "airflow.sdk.observability": {},
            "airflow.sdk.observability.stats": {"Stats": stats},
        }
    else:
        names |= {"airflow.configuration": {"conf": conf}, "airflow.stats": {"Stats": stats}}
    for name, attributes in names.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("sdk", [True, False], ids=["Airflow 3.2 and later", "Airflow 3.1"])
def test_plain_statsd_gets_dotted_names(monkeypatch: pytest.MonkeyPatch, sdk: bool) -> None:
    stats = Stats()
    install(monkeypatch, Conf(statsd_on=True), stats, sdk=sdk)
    sink = AirflowMetrics()

    sink.timing_ms(STAGE_DURATION, 12.5, TAGS)
    sink.counter(STAGE_ITEMS, 7, TAGS)
    sink.gauge(STAGE_PEAK_MEMORY, 1000, TAGS)

    assert stats.calls == [
        ("timing", f"ai_pipeline.stage.duration.{DOTTED}", 12.5, None),
        ("incr", f"ai_pipeline.stage.items.{DOTTED}", 7, None),
        ("gauge", f"ai_pipeline.stage.peak_memory_bytes.{DOTTED}", 1000, None),
    ]


@pytest.mark.parametrize(
    ("options", "tagged"),
    [
        ({"statsd_on": True, "statsd_influxdb_enabled": True}, True),
        ({"statsd_datadog_enabled": True}, True),
        ({"statsd_datadog_enabled": True, "statsd_datadog_metrics_tags": False}, False),
        ({"statsd_datadog_enabled": True, "statsd_on": True}, True),
        ({"otel_on": True}, True),
        ({"statsd_on": True, "otel_on": True}, False),
        ({"statsd_influxdb_enabled": True}, False),
        ({}, False),
    ],
    ids=str,
)
def test_tags_are_used_where_the_chosen_client_keeps_them(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], tagged: bool
) -> None:
    stats = Stats()
    install(monkeypatch, Conf(**options), stats)

    AirflowMetrics().timing_ms(STAGE_DURATION, 1.0, TAGS)

    expected = (STAGE_DURATION.name, TAGS) if tagged else (f"{STAGE_DURATION.name}.{DOTTED}", None)
    assert [(call[1], call[3]) for call in stats.calls] == [expected]


def test_tags_that_a_name_cannot_carry_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = Stats()
    install(monkeypatch, Conf(statsd_on=True, statsd_influxdb_enabled=True), stats)

    AirflowMetrics().counter(STAGE_ITEMS, 1, TAGS | {"stage": "a,b=c d"})

    assert stats.calls[0][3]["stage"] == "a_b_c_d"


def test_a_failing_client_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, Conf(), None)
    sink = AirflowMetrics()

    with caplog.at_level(logging.WARNING):
        sink.counter(STAGE_ITEMS, 1, TAGS)
        sink.gauge(STAGE_PEAK_MEMORY, 1, TAGS)

    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["No metrics are sent"]


def test_importing_the_bridge_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "import airflow_provider_aiopt.airflow.metrics\n"
        "heavy = {'airflow', 'statsd', 'numpy', 'pyarrow', 'pydantic', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert loaded == "[]\n"
