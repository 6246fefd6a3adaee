from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.doctor.compatibility import Stack, judge_stack, load_compatibility
from airflow_provider_aiopt.doctor.models import Finding

TABLE = load_compatibility()


def findings(**stack: Any) -> dict[tuple[str, str], Finding]:
    return {(item.subject, item.severity): item for item in judge_stack(Stack(**stack), TABLE)}


def kinds(**stack: Any) -> list[tuple[str, str]]:
    return list(findings(**stack))


FITS = {
    "driver": "580.95.05",
    "onnxruntime": "1.31.1",
    "onnxruntime_cuda": "13.0",
    "onnxruntime_cudnn": 9,
    "torch": "2.15.0+cu132",
    "torch_cuda": "13.2",
    "cudnn": "9.26.0",
    "tensorrt": "10.15.1",
}


@pytest.mark.parametrize(
    ("changed", "bad"),
    [
        ({}, []),
        ({"driver": "575.57.08"}, [("NVIDIA driver", "error")]),
        ({"driver": None}, [("NVIDIA driver", "note")]),
        ({"torch": "2.7.0", "torch_cuda": "12.8"}, [("CUDA", "warning")]),
        ({"torch": "2.7.0", "torch_cuda": None}, []),
        ({"cudnn": "8.9.7"}, [("cuDNN", "error")]),
        ({"cudnn": None, "tensorrt": None}, []),
        ({"tensorrt": "8.6.1"}, [("TensorRT", "error")]),
        ({"tensorrt": "11.1.0"}, [("TensorRT", "error")]),
        ({"onnxruntime": "1.32.0"}, [("onnxruntime-gpu", "note")]),
        (
            {"onnxruntime": "1.32.0", "onnxruntime_cuda": "14.0"},
            [("onnxruntime-gpu", "note"), ("NVIDIA driver", "note"), ("CUDA", "warning")],
        ),
        ({"onnxruntime": None, "onnxruntime_cuda": None}, []),
    ],
)
def test_what_fits_and_what_does_not(changed: dict[str, Any], bad: list[tuple[str, str]]) -> None:
    found = kinds(**FITS | changed)
    assert [item for item in found if item[1] != "ok"] == bad


@pytest.mark.parametrize(
    ("version", "driver", "severity"),
    [
        ("1.20.1", "525.60.13", "ok"),
        ("1.20.1", "525", "ok"),
        ("1.20.1", "470.256.02", "error"),
        ("1.22.0", "580.95.05", "ok"),
    ],
)
def test_older_builds_for_cuda_12_do_not_say_so_themselves(version: str, driver: str, severity: str) -> None:
    found = findings(driver=driver, onnxruntime=version)
    assert list(found) == [("NVIDIA driver", severity)]
    assert "built for CUDA 12" in found["NVIDIA driver", severity].evidence


def test_another_minor_version_of_tensorrt_is_worth_a_note() -> None:
    (note,) = [
        item
        for key, item in findings(driver="580.1", onnxruntime="1.22.0", tensorrt="10.4.0").items()
        if key[0] == "TensorRT"
    ]
    assert (note.severity, note.evidence) == (
        "note",
        "10.4.0; onnxruntime-gpu 1.22.0 was built and tested with 10.9",
    )


def test_an_old_driver_names_both_versions_and_both_ways_out() -> None:
    found = findings(**FITS | {"driver": "550.54.15"})["NVIDIA driver", "error"]
    assert "550.54.15" in found.evidence
    assert "needs 580 or newer" in found.evidence
    assert "or install a build for an older CUDA" in found.remedy
    assert TABLE.drivers.source in found.remedy


def test_a_cuda_that_the_table_does_not_know_says_what_it_knows() -> None:
    found = findings(driver="700.1", onnxruntime="1.40.0", onnxruntime_cuda="15.0")
    assert "which ends with 1.31" in found["onnxruntime-gpu", "note"].evidence
    assert "knows CUDA up to 13" in found["NVIDIA driver", "note"].evidence


def test_the_table_has_a_source_for_all_it_says() -> None:
    sources = [
        TABLE.drivers.source,
        *TABLE.onnxruntime.sources,
        *(rule.source for rule in TABLE.incompatible),
    ]
    assert all(source.startswith("https://") for source in sources)
    newest = max(tuple(map(int, item.versions.split("."))) for item in TABLE.onnxruntime.releases)
    assert ".".join(map(str, newest)) == TABLE.onnxruntime.known_until
    assert {release.cuda for release in TABLE.onnxruntime.releases} <= set(TABLE.drivers.minimum)
