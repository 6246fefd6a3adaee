from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import DeviceUnavailableError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest, compute_capability, tensorrt_options

IMAGE = TensorInfo("image", "float32", (None, 3, 224, 224))
TOKENS = TensorInfo("input_ids", "int64", (None, None))


def options(*inputs: TensorInfo, sizes: tuple[int, ...] = (8, 32), **changed: str) -> dict[str, Any]:
    values = {"version": "1.32.0", "capability": "9.0"} | changed
    return tensorrt_options(EngineRequest("ab" * 32, sizes), inputs, cache=Path("cache"), **values)


def profile(*inputs: TensorInfo, sizes: tuple[int, ...] = (8, 32)) -> dict[str, str]:
    return {key: value for key, value in options(*inputs, sizes=sizes).items() if "profile" in key}


def test_engines_and_timings_are_kept_by_what_they_were_built_of() -> None:
    made = options(IMAGE)
    assert made["trt_engine_cache_enable"]
    assert made["trt_timing_cache_enable"]
    folder = str(Path("cache", "abababababababab-ort1.32.0-sm9.0"))
    assert made["trt_engine_cache_path"] == made["trt_timing_cache_path"] == folder
    assert options(IMAGE, version="1.33.0")["trt_engine_cache_path"] != folder
    assert options(IMAGE, capability="8.0")["trt_engine_cache_path"] != folder


def test_one_engine_takes_every_size_up_to_the_largest() -> None:
    assert profile(IMAGE, TensorInfo("scale", "float32", (None,))) == {
        "trt_profile_min_shapes": "image:1x3x224x224,scale:1",
        "trt_profile_opt_shapes": "image:32x3x224x224,scale:32",
        "trt_profile_max_shapes": "image:32x3x224x224,scale:32",
    }


def test_inputs_of_one_shape_need_no_range() -> None:
    assert profile(TensorInfo("x", "float32", (4, 2))) == {}
    assert "x:" not in profile(IMAGE, TensorInfo("x", "float32", (4, 2)))["trt_profile_min_shapes"]


@pytest.mark.parametrize("unknown", [TOKENS, TensorInfo("x", "float32", None)])
def test_the_provider_finds_ranges_itself_where_other_axes_vary(unknown: TensorInfo) -> None:
    assert profile(IMAGE, unknown) == {}


def test_without_sizes_there_is_no_range() -> None:
    assert profile(IMAGE, sizes=()) == {}


class Driver:
    """CUDA's driver on a machine with a device of compute capability 9.1, or without one."""

    def __init__(self, failure: int = 0) -> None:
        self.failure = failure

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.failure

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: ctypes.c_int) -> int:  # noqa: N802
        value._obj.value = {75: 9, 76: 1}[attribute]
        return 0


def test_the_driver_says_what_the_device_can() -> None:
    assert compute_capability(lambda _: Driver()) == "9.1"


def test_a_machine_without_a_device_is_told_apart_from_one_without_a_driver() -> None:
    with pytest.raises(DeviceUnavailableError, match=r"finds no device \(CUresult 100\)"):
        compute_capability(lambda _: Driver(100))

    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    with pytest.raises(DeviceUnavailableError, match=r"cannot be loaded: libcuda\.so\.1.*NVIDIA driver"):
        compute_capability(missing)
