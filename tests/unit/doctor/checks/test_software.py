from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.doctor.checks.software import (
    LIBRARIES,
    PROVIDERS_CHECK,
    VERSIONS,
    judge_loader,
    judge_providers,
    read_stack,
)
from airflow_provider_aiopt.doctor.compatibility import Stack
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.inventory import Installed
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.doctor.probe import Library, Probe
from airflow_provider_aiopt.exceptions import DoctorError

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


def probe(*libraries: Library, errors: dict[str, str] | None = None, **onnxruntime: Any) -> Probe:
    found = {"package": "onnxruntime-gpu", "cuda": "13.0", "providers": [CUDA, CPU], "unloadable": {}}
    return Probe(
        versions={"onnxruntime": "1.31.1", "torch": "2.15.0"},
        errors=errors or {},
        libraries=libraries,
        onnxruntime=found | onnxruntime,
        torch={"cuda": "13.2", "cudnn": "9.26.0", "devices": 0},
    )


def dead() -> Probe:
    raise DoctorError("importing torch ended the process with -11")


class TestProviders:
    def test_providers_that_load(self) -> None:
        (found,) = judge_providers(probe())
        assert (found.severity, found.evidence) == ("ok", f"loads {CUDA}, {CPU}")

    def test_a_package_for_gpus_that_another_has_overwritten(self) -> None:
        found = list(judge_providers(probe(providers=[CPU])))
        assert [item.severity for item in found] == ["error", "ok"]
        assert f"is the package for GPUs and has only {CPU}" in found[0].evidence

    def test_a_build_for_the_cpu_has_nothing_to_load(self) -> None:
        (found,) = judge_providers(probe(package="onnxruntime", providers=[CPU]))
        assert found.severity == "ok"

    @pytest.mark.parametrize(
        ("provider", "library", "severity", "remedy"),
        [
            (CUDA, "libcudnn.so.9", "error", "pip install 'onnxruntime-gpu[cudnn]'"),
            (CUDA, "libcublasLt.so.13", "error", "pip install 'onnxruntime-gpu[cuda,cudnn]'"),
            (CUDA, "libcuda.so.1", "error", "Install the NVIDIA driver"),
            (TENSORRT, "libnvinfer.so.10", "note", "pip install tensorrt"),
        ],
    )
    def test_the_loaders_own_words(self, provider: str, library: str, severity: str, remedy: str) -> None:
        complaint = f"{library}: cannot open shared object file: No such file or directory"
        found = judge_loader(provider, complaint)
        assert (found.severity, found.subject) == (severity, provider)
        assert complaint in found.evidence
        assert found.remedy.startswith(remedy)

    def test_without_onnx_runtime_it_is_skipped(self) -> None:
        (found,) = PROVIDERS_CHECK.run(CheckContext(probe=Fact.of(Probe({}, {}, (), {}, {}))))
        assert isinstance(found, Skip)


class TestStack:
    def test_what_was_loaded_comes_before_what_is_installed(self) -> None:
        cudnn = Library("libcudnn", "/libcudnn.so.9", "9.26.0")
        installed = {
            "onnxruntime-gpu": Installed(
                "onnxruntime-gpu", "1.31.1", ("numpy", 'nvidia-cudnn-cu13~=9.0; extra == "cudnn"')
            ),
            "nvidia-cudnn-cu13": Installed("nvidia-cudnn-cu13", "9.1.0"),
            "tensorrt-cu13": Installed("tensorrt-cu13", "10.15.1"),
        }
        assert read_stack(probe(cudnn), installed, "580.95.05") == Stack(
            driver="580.95.05",
            onnxruntime="1.31.1",
            onnxruntime_cuda="13.0",
            onnxruntime_cudnn=9,
            torch="2.15.0",
            torch_cuda="13.2",
            cudnn="9.26.0",
            tensorrt="10.15.1",
        )
        assert read_stack(probe(), installed, None).cudnn == "9.1.0"

    def test_builds_for_the_cpu_have_no_versions_to_compare(self) -> None:
        cpu = probe(package="onnxruntime", cuda=None)
        assert read_stack(cpu, {}, None).onnxruntime is None
        nothing = Probe({"onnxruntime": "1.32.0"}, {}, (), {"package": "onnxruntime", "cuda": None}, {})
        (found,) = VERSIONS.run(CheckContext(probe=Fact.of(nothing)))
        assert found == Skip("neither ONNX Runtime nor torch is a build for CUDA")


def test_a_process_that_dies_while_it_imports_is_an_error_once() -> None:
    context = CheckContext(probe=Fact(dead))
    (found,) = LIBRARIES.run(context)
    assert isinstance(found, Finding)
    assert (found.severity, found.evidence) == ("error", "importing torch ended the process with -11")
    for check in (VERSIONS, PROVIDERS_CHECK):
        assert list(check.run(context)) == [
            Skip("importing torch ended the process with -11", unanswered=True)
        ]


def test_a_module_that_cannot_be_imported() -> None:
    broken = probe(errors={"torch": "ImportError: libtorch_cuda.so: undefined symbol"})
    found = list(LIBRARIES.run(CheckContext(probe=Fact.of(broken))))
    assert isinstance(found[0], Finding)
    assert (found[0].severity, found[0].subject) == ("error", "module torch")
    assert "undefined symbol" in found[0].evidence
