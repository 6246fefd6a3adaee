from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from components import requires
from fake_nvml import GIB, FakeGpu, FakeNvml

from airflow_provider_aiopt.telemetry.hardware import gpu as module
from airflow_provider_aiopt.telemetry.hardware.gpu import SLOWDOWNS, THROTTLE_REASONS, open_gpus
from airflow_provider_aiopt.telemetry.hardware.reading import GpuState

Install = Callable[[FakeNvml | None], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "DRIVER", (str(tmp_path),))
    return lambda nvml: monkeypatch.setitem(sys.modules, "pynvml", nvml)


def test_gpus_are_taken_together(install: Install) -> None:
    install(
        FakeNvml(
            [
                FakeGpu("A", "GPU-a", 100, 3 * GIB, 80 * GIB, 400_000, 1980, reasons=0x1 | 0x4),
                FakeGpu("B", "GPU-b", 50, 1 * GIB, 40 * GIB, 100_000, 990, reasons=0x40),
            ]
        )
    )
    gpus = open_gpus()

    assert gpus is not None
    assert (gpus.names, gpus.memory_total_bytes) == (("A", "B"), 120 * GIB)
    assert gpus.read() == GpuState(
        utilisation=0.75,
        memory_bytes=4 * GIB,
        power_w=500.0,
        sm_clock_mhz=1485.0,
        throttle_reasons=0x4 | 0x40,
    )


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("1", ("b",)),
        ("1,0", ("b", "a")),
        (" GPU-2 , 0", ("c", "a")),
        ("0,9,1", ("a",)),
        ("0,GPU-none,1", ("a",)),
        ("", None),
        ("-1", None),
    ],
)
def test_only_what_cuda_may_use_counts(
    install: Install, monkeypatch: pytest.MonkeyPatch, visible: str, names: tuple[str, ...] | None
) -> None:
    install(FakeNvml([FakeGpu(name, f"GPU-{n}") for n, name in enumerate("abc")]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpus = open_gpus()

    assert (gpus and gpus.names) == names


def test_what_a_device_does_not_tell_is_left_out(install: Install) -> None:
    silent = {
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    }
    gpu = FakeGpu(used_bytes=GIB, unsupported=silent)
    install(FakeNvml([gpu]))
    gpus = open_gpus()

    assert gpus is not None
    assert gpus.read() == GpuState(memory_bytes=GIB)
    gpu.unsupported |= {"nvmlDeviceGetMemoryInfo"}  # as when a device has fallen off the bus
    assert gpus.read() == GpuState()


@pytest.mark.parametrize("nvml", [FakeNvml(driver=False), FakeNvml()], ids=["no driver", "no device"])
def test_without_a_gpu_there_is_none(install: Install, nvml: FakeNvml) -> None:
    install(nvml)
    assert open_gpus() is None


def test_without_the_driver_s_device_the_module_is_not_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(FakeNvml([FakeGpu()]))
    monkeypatch.setattr(module, "DRIVER", (str(tmp_path / "nvidiactl"),))
    assert open_gpus() is None


def test_without_the_module_there_is_none(install: Install) -> None:
    install(None)
    assert open_gpus() is None


def test_slowdowns_are_reasons() -> None:
    assert set(THROTTLE_REASONS.values()) > SLOWDOWNS


def test_the_real_module_has_what_is_called() -> None:
    requires("pynvml", "pip install nvidia-ml-py")
    import pynvml

    for name in (name for name in vars(FakeNvml) if name.startswith("nvml")):
        assert callable(getattr(pynvml, name))
    assert FakeNvml.NVML_CLOCK_SM == pynvml.NVML_CLOCK_SM
    assert issubclass(pynvml.NVMLError, Exception)
    real = {
        "applications_clocks": pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting,
        "sw_power_cap": pynvml.nvmlClocksThrottleReasonSwPowerCap,
        "hw_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
        "sync_boost": pynvml.nvmlClocksThrottleReasonSyncBoost,
        "sw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
        "hw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
        "hw_power_brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
        "display_clocks": pynvml.nvmlClocksThrottleReasonDisplayClockSetting,
    }
    assert {name: bit for bit, name in THROTTLE_REASONS.items()} == real


def test_the_real_module_opens_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requires("pynvml", "pip install nvidia-ml-py")
    monkeypatch.setattr(module, "DRIVER", (str(tmp_path),))  # as where the module looks in vain for a driver
    gpus = open_gpus()
    if gpus is not None:
        state = gpus.read()
        assert gpus.names
        assert state.utilisation is None or 0 <= state.utilisation <= 1
