from __future__ import annotations

import pytest

from airflow_provider_aiopt.telemetry import catalogue
from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, Metric
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse, Level
from airflow_provider_aiopt.telemetry.metrics import NullMetrics, emit_stage_report
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.testing import RecordingMetrics, make_stage_report, make_task


def level(mean: float, most: float) -> Level:
    return Level(mean=mean, max=most)


def full_hardware() -> HardwareUse:
    return HardwareUse(
        interval_s=1.0,
        samples=9,
        cpu_cores=level(1.5, 2.0),
        host_cpu=level(0.5, 1.0),
        cpu_steal=level(0.125, 0.25),
        cpu_throttled=level(0.0, 0.0),
        memory_bytes=level(2000, 3000),
        memory_limit_bytes=4000,
        memory_limit_used=level(0.75, 0.875),
        disk_read_bytes_per_s=level(10, 11),
        disk_write_bytes_per_s=level(20, 21),
        net_in_bytes_per_s=level(30, 31),
        net_out_bytes_per_s=level(40, 41),
        gpus=("H100",),
        gpu_utilisation=level(0.5, 1.0),
        gpu_memory_bytes=level(5000, 6000),
        gpu_memory_total_bytes=8000,
        gpu_power_w=level(350, 700),
        gpu_sm_clock_mhz=level(1980, 1980),
        gpu_throttled={"applications_clocks": 1.0, "sw_power_cap": 0.25, "hw_thermal_slowdown": 0.125},
    )


def full_report() -> StageReport:
    return make_stage_report(
        wall_s=2.0,
        wait_input_s=0.25,
        wait_output_s=0.5,
        model_load_s=0.125,
        task=make_task("infer", 3),
        items_out=100,
        resumed_items=20,
        quarantined=3,
        bytes_in=10,
        bytes_out=20,
        cache_hits=60,
        cache_misses=23,
        cache_errors=1,
        batch_sizes={32: 3, 4: 1},
        peak_memory_bytes=1000,
        cpu_utilisation=0.75,
        gpu_utilisation=0.5,
        hardware=full_hardware(),
    )


def sent(report: StageReport) -> dict[Metric, float]:
    sink = RecordingMetrics()
    emit_stage_report(report, sink)
    return {item.metric: item.value for item in sink.sent}


def test_a_full_report_sends_all_metrics_of_stages() -> None:
    assert sent(full_report()) == {
        catalogue.STAGE_DURATION: 2000.0,
        catalogue.STAGE_MODEL_LOAD: 125.0,
        catalogue.STAGE_WAIT_INPUT: 250.0,
        catalogue.STAGE_WAIT_OUTPUT: 500.0,
        catalogue.STAGE_ITEMS: 80,
        catalogue.STAGE_QUARANTINED: 3,
        catalogue.STAGE_BYTES_IN: 10,
        catalogue.STAGE_BYTES_OUT: 20,
        catalogue.STAGE_FAILURES: 0,
        catalogue.STAGE_CACHE_HITS: 60,
        catalogue.STAGE_CACHE_MISSES: 23,
        catalogue.STAGE_CACHE_ERRORS: 1,
        catalogue.STAGE_ITEMS_PER_SECOND: 40.0,
        catalogue.STAGE_BATCH_SIZE: 25.0,
        catalogue.STAGE_PEAK_MEMORY: 1000,
        catalogue.STAGE_CPU_UTILISATION: 0.75,
        catalogue.STAGE_CPU_CORES: 1.5,
        catalogue.STAGE_HOST_CPU: 0.5,
        catalogue.STAGE_CPU_STEAL: 0.125,
        catalogue.STAGE_CPU_THROTTLED: 0.0,
        catalogue.STAGE_MEMORY: 3000,
        catalogue.STAGE_MEMORY_LIMIT: 4000,
        catalogue.STAGE_DISK_READ: 10.0,
        catalogue.STAGE_MEMORY_LIMIT_USED: 0.875,
        catalogue.STAGE_DISK_WRITE: 20.0,
        catalogue.STAGE_NET_IN: 30.0,
        catalogue.STAGE_NET_OUT: 40.0,
        catalogue.STAGE_GPU_UTILISATION: 0.5,
        catalogue.STAGE_GPU_MEMORY: 6000,
        catalogue.STAGE_GPU_MEMORY_SIZE: 8000,
        catalogue.STAGE_GPU_POWER: 350.0,
        catalogue.STAGE_GPU_CLOCK: 1.98e9,
        catalogue.STAGE_GPU_THROTTLED: 0.25,
    }
    of_pods = {catalogue.POD_SCHEDULE, catalogue.POD_PULL, catalogue.POD_START, catalogue.POD_BOOT}
    of_tasks = {catalogue.TASK_QUEUED, catalogue.UPLOAD_TO_START, *of_pods}
    assert set(sent(full_report())) == set(CATALOGUE) - of_tasks


def test_each_metric_is_sent_as_its_kind_with_all_its_tags() -> None:
    sink = RecordingMetrics()
    emit_stage_report(full_report(), sink)

    assert all(item.kind == item.metric.kind for item in sink.sent)
    assert all(item.tags == {"dag_id": "dag", "task_id": "infer", "stage": "inference"} for item in sink.sent)


def test_outside_airflow_pipeline_and_stage_stand_in() -> None:
    sink = RecordingMetrics()
    emit_stage_report(make_stage_report("ingest"), sink)

    assert sink.sent[0].tags == {"dag_id": "pipeline", "task_id": "ingest", "stage": "ingest"}


def test_what_is_not_known_is_not_sent() -> None:
    metrics = sent(make_stage_report("ingest", wall_s=0))

    assert catalogue.STAGE_DURATION in metrics
    for unknown in (
        catalogue.STAGE_MODEL_LOAD,
        catalogue.STAGE_CACHE_HITS,
        catalogue.STAGE_CACHE_MISSES,
        catalogue.STAGE_CACHE_ERRORS,
        catalogue.STAGE_ITEMS_PER_SECOND,
        catalogue.STAGE_BATCH_SIZE,
        catalogue.STAGE_PEAK_MEMORY,
        catalogue.STAGE_MEMORY_LIMIT,
        catalogue.STAGE_GPU_UTILISATION,
    ):
        assert unknown not in metrics


def test_what_is_not_known_of_the_hardware_is_not_sent() -> None:
    few = sent(make_stage_report())
    known = sent(make_stage_report(hardware=HardwareUse(interval_s=1.0, samples=2, gpu_throttled={})))

    assert known == few | {catalogue.STAGE_GPU_THROTTLED: 0.0}


@pytest.mark.parametrize(("state", "failures"), [("success", 0), ("failed", 1)])
def test_failures_are_counted(state: str, failures: int) -> None:
    assert sent(make_stage_report(state=state))[catalogue.STAGE_FAILURES] == failures


def test_the_null_sink_takes_everything() -> None:
    emit_stage_report(full_report(), NullMetrics())
