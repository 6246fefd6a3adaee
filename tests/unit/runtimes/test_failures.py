from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import DeviceOutOfMemoryError, ModelRunError
from airflow_provider_aiopt.runtimes.failures import run_error

FEEDS = {"x": np.zeros((2, 3))}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal Failed to allocate "
            "memory for requested buffer of size 4096"
        ),
        RuntimeError("Available memory of 1024 is smaller than requested bytes of 4096"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA_ERROR_OUT_OF_MEMORY"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
    ],
    ids=lambda error: str(error)[:24],
)
def test_memory_that_ran_out_is_told_from_other_failures(error: Exception) -> None:
    mapped = run_error("It", error, FEEDS)
    assert isinstance(mapped, DeviceOutOfMemoryError)
    assert str(mapped).startswith("It failed on a batch of x [2, 3]: memory ran out")
    assert mapped.retryable


def test_other_failures_name_the_batch_and_the_reason_in_one_line() -> None:
    mapped = run_error("It", RuntimeError("bad\n  shape"), FEEDS)
    assert type(mapped) is ModelRunError
    assert str(mapped).startswith("It failed on a batch of x [2, 3]: bad shape. ")
