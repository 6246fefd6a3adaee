"""What reaches a StatsD server or an OpenTelemetry collector, straight and through Airflow's own client."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from otlp_receiver import OtlpReceiver, otlp_env

from airflow_provider_aiopt.telemetry.metrics import emit_stage_report
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics, TagStyle
from airflow_provider_aiopt.telemetry.testing import make_stage_report

pytestmark = pytest.mark.integration

# What a task's process does: Airflow's task runner sets its client up, then a stage ends.
PROGRAM = """
from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
from airflow_provider_aiopt.telemetry.metrics import emit_stage_report
from airflow_provider_aiopt.telemetry.reports import TaskIdentity
from airflow_provider_aiopt.telemetry.testing import make_stage_report

try:
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils
except ImportError:
    pass  # before Airflow 3.3 the client sets itself up
else:
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)

task = TaskIdentity(dag_id="my.dag", run_id="run", task_id="group." + "infer" * 40)
stages = ("inference", "Ärger, =|#:\\n")
for stage in stages:
    report = make_stage_report(stage, wall_s=1.5, items_out=30, peak_memory_bytes=2048, task=task)
    emit_stage_report(report, AirflowMetrics())
"""
METRICS_OF_A_STAGE = 11
VALUES = {
    "duration": "1500.000000|ms",
    "items": "30|c",
    "failures": "0|c",
    "items_per_second": "20.0|g",
    "peak_memory_bytes": "2048|g",
}


class Receiver:
    """A UDP server on loopback."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def packets(self) -> list[str]:
        """Return what has arrived, by now all of it: loopback delivers at once."""
        self._socket.setblocking(False)
        lines: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines += self._socket.recv(65536).decode("ascii").splitlines()
        return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def emit_through_airflow(tmp_path: Path, receiver: Receiver, **options: str) -> None:
    settings = {"statsd_host": "127.0.0.1", "statsd_port": str(receiver.port), **options}
    run_program(tmp_path, {f"AIRFLOW__METRICS__{name.upper()}": value for name, value in settings.items()})


def run_program(tmp_path: Path, settings: Mapping[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {**settings, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Invalid stat name" not in done.stderr + done.stdout
    assert "Dropping invalid tag" not in done.stderr + done.stdout


def ours(packets: list[str]) -> list[str]:
    """Leave out Airflow's own metrics."""
    return [packet for packet in packets if "ai_pipeline" in packet]


def values(packets: list[str], pattern: str) -> dict[str, str]:
    """Return the values by metric of the packets that match a pattern, given as of Airflow's prefix."""
    matches = (re.fullmatch(rf"airflow\.ai_pipeline\.stage\.{pattern}", packet) for packet in packets)
    return {match["name"]: match["value"] for match in matches if match}


def test_airflow_with_plain_statsd(tmp_path: Path, receiver: Receiver) -> None:
    emit_through_airflow(tmp_path, receiver, statsd_on="True")

    packets = ours(receiver.packets())

    assert len(packets) == 2 * METRICS_OF_A_STAGE
    found = values(
        packets, r"(?P<name>\w+)\.my__dag\.group__(infer)+\w*_[0-9a-f]{8}\.inference:(?P<value>.*)"
    )
    assert len(found) == METRICS_OF_A_STAGE
    assert VALUES.items() <= found.items()
    odd = values(packets, r"(?P<name>\w+)\.my__dag\.group__\w+\.Arger\w+_[0-9a-f]{8}:(?P<value>.*)")
    assert len(odd) == METRICS_OF_A_STAGE


def test_airflow_with_influxdb_tags(tmp_path: Path, receiver: Receiver) -> None:
    emit_through_airflow(tmp_path, receiver, statsd_on="True", statsd_influxdb_enabled="True")

    packets = ours(receiver.packets())

    assert len(packets) == 2 * METRICS_OF_A_STAGE
    tags = r"dag_id=my\.dag,task_id=group\.(infer)+\w*_[0-9a-f]{8},stage=inference"
    found = values(packets, rf"(?P<name>\w+),{tags}:(?P<value>.*)")
    assert len(found) == METRICS_OF_A_STAGE
    assert VALUES.items() <= found.items()
    assert len(values(packets, r"(?P<name>\w+),[^:]*,stage=Arger\w+:(?P<value>.*)")) == METRICS_OF_A_STAGE


def test_airflow_with_datadog_tags(tmp_path: Path, receiver: Receiver) -> None:
    pytest.importorskip("datadog")
    emit_through_airflow(tmp_path, receiver, statsd_datadog_enabled="True", statsd_datadog_tags="")

    packets = ours(receiver.packets())

    assert len(packets) == 2 * METRICS_OF_A_STAGE
    tags = r"\|#dag_id:my\.dag,task_id:group\.(infer)+\w*_[0-9a-f]{8},stage:inference"
    found = values(packets, rf"(?P<name>\w+):(?P<value>[^#]*){tags}")
    assert len(found) == METRICS_OF_A_STAGE
    assert (found["items"], found["duration"]) == ("30|c", "1500.0|ms")


def test_airflow_with_opentelemetry(tmp_path: Path) -> None:
    collector = OtlpReceiver()
    try:
        run_program(tmp_path, otlp_env(collector.port))
    finally:
        collector.close()

    (task_id,) = {tags["task_id"] for _, tags in collector.series() if tags.get("stage") == "inference"}
    assert re.fullmatch(r"group\.(infer)+\w*_[0-9a-f]{8}", task_id)
    points = collector.points(dag_id="my.dag", task_id=task_id, stage="inference")
    found = {name.removeprefix("airflow.ai_pipeline.stage."): point for name, point in points.items()}
    assert len(found) == METRICS_OF_A_STAGE
    assert (found["duration"].value, found["duration"].count, found["duration"].unit) == (1500, 1, "ms")
    assert "histogram" in found["duration"].kind
    assert (found["items"].kind, found["items"].value) == ("sum", 30)
    assert (found["failures"].value, found["items_per_second"].value) == (0, 20)
    assert (found["peak_memory_bytes"].kind, found["peak_memory_bytes"].value) == ("gauge", 2048)


@pytest.mark.parametrize(
    ("style", "where"),
    [
        ("dotted", ".pipeline.inference.inference"),
        ("influx", ",dag_id=pipeline,task_id=inference,stage=inference"),
    ],
)
def test_without_airflow(receiver: Receiver, style: TagStyle, where: str) -> None:
    with StatsdMetrics("127.0.0.1", receiver.port, tag_style=style) as sink:
        emit_stage_report(make_stage_report(wall_s=1.5, items_out=30, peak_memory_bytes=2048), sink)

    found = values(ours(receiver.packets()), rf"(?P<name>\w+){re.escape(where)}:(?P<value>.*)")
    assert len(found) == METRICS_OF_A_STAGE
    assert VALUES.items() <= found.items()


def test_a_server_that_does_not_listen_costs_nothing(receiver: Receiver) -> None:
    receiver.close()

    with StatsdMetrics("127.0.0.1", receiver.port) as sink:
        for _ in range(3):
            emit_stage_report(make_stage_report(), sink)
    emit_stage_report(make_stage_report(), sink)
