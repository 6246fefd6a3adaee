"""What the doctor says of packages and libraries that do not fit, in processes of their own.

Each installation is a folder before all others on the path of modules: metadata, modules that do as little as
they must, and shared libraries that the dynamic loader itself judges.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_support import clean_environment

from airflow_provider_aiopt.doctor.models import CheckResult, DoctorReport
from airflow_provider_aiopt.doctor.probe import run_probe
from airflow_provider_aiopt.exceptions import DoctorError

pytestmark = pytest.mark.integration

PROGRAM = "import sys; from airflow_provider_aiopt.cli.main import main; sys.exit(main(sys.argv[1:]))"
ONNXRUNTIME = """\
__version__ = "1.31.1"
def get_available_providers():
    return {providers}
"""
BUILD = "package_name = 'onnxruntime-gpu'\n__version__ = '1.31.1'\ncuda_version = '13.0'\n"
CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    # None of the runtimes that are really installed: each costs seconds, and none is what is looked at.
    for module in ("numpy", "PIL", "pyarrow", "torch"):
        (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError('no {module}', name='{module}')\n")
    (folder / "onnxruntime.py").write_text("raise ModuleNotFoundError('none', name='onnxruntime')\n")
    return folder


def environment(site: Path) -> dict[str, str]:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")]), os.getcwd()])  # noqa: PTH109
    return clean_environment() | {"PYTHONPATH": path}


def check(site: Path, name: str) -> CheckResult:
    """Make one check in a process with what lies in *site*."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "doctor", "--only", name, "--json"],
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout, ended.stderr
    (result,) = DoctorReport.model_validate_json(ended.stdout).checks
    assert ended.returncode == int(result.severity == "error")
    return result


def add_distribution(site: Path, name: str, version: str, *files: str, requires: str = "") -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    requirement = f"Requires-Dist: {requires}\n" if requires else ""
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirement}\n"
    )
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def add_onnxruntime(site: Path, *providers: str) -> Path:
    """Add a build for CUDA that names these providers, and return the folder of its libraries."""
    (site / "onnxruntime.py").unlink()
    capi = site / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (site / "onnxruntime" / "__init__.py").write_text(ONNXRUNTIME.format(providers=list(providers)))
    (capi / "__init__.py").touch()
    (capi / "build_and_package_info.py").write_text(BUILD)
    return capi


@pytest.fixture(scope="module")
def compiled_library() -> Path:
    """A small shared library of compiled C++, which the dynamic loader gives a ``libstdc++.so.6``."""
    import greenlet  # SQLAlchemy's, and so Airflow's

    return next(Path(greenlet.__file__).parent.glob("_greenlet.*.so"))


def needing(source: Path, library: str, target: Path) -> None:
    """Copy a library so that it asks for *library* instead of ``libstdc++.so.6``."""
    wanted = b"libstdc++.so.6\0"
    content = source.read_bytes()
    assert wanted in content
    target.write_bytes(content.replace(wanted, library.encode().ljust(len(wanted), b"\0")))


class TestPackages:
    def test_both_onnxruntimes(self, site: Path) -> None:
        add_onnxruntime(site, CPU)
        for name in ("onnxruntime", "onnxruntime-gpu"):
            add_distribution(site, name, "1.31.1", "onnxruntime/__init__.py")
        result = check(site, "packages")
        (found,) = [item for item in result.findings if item.subject == "module onnxruntime"]
        assert found.severity == "error"
        assert "has overwritten the other" in found.evidence

    def test_an_airflow_that_is_too_old_for_a_provider(self, site: Path) -> None:
        add_distribution(site, "apache-airflow", "3.0.6")
        result = check(site, "packages")
        told = [item.evidence for item in result.findings if item.severity == "error"]
        assert any("and 3.0.6 is installed" in evidence for evidence in told), told

    def test_a_celery_of_the_future(self, site: Path) -> None:
        add_distribution(site, "celery", "5.7.0")
        result = check(site, "packages")
        (found,) = [item for item in result.findings if item.subject == "celery"]
        assert (found.severity, found.remedy) == ("error", "pip install 'celery>=5.5,<5.7'")


class TestProviders:
    @pytest.mark.parametrize("library", ["libcudnn.so.9", "libcuda.so.1"])
    def test_the_loader_says_which_library_is_missing(
        self, site: Path, compiled_library: Path, library: str
    ) -> None:
        capi = add_onnxruntime(site, CUDA, CPU)
        shutil.copy(compiled_library, capi / "libonnxruntime_providers_shared.so")
        needing(compiled_library, library, capi / "libonnxruntime_providers_cuda.so")
        result = check(site, "providers")
        assert result.severity == "error"
        (found,) = [item for item in result.findings if item.severity == "error"]
        assert found.subject == CUDA
        assert f"{library}: cannot open shared object file: No such file or directory" in found.evidence

    def test_tensorrt_that_is_not_there_is_a_note(self, site: Path, compiled_library: Path) -> None:
        capi = add_onnxruntime(site, TENSORRT, CUDA, CPU)
        for name in ("shared", "cuda"):
            shutil.copy(compiled_library, capi / f"libonnxruntime_providers_{name}.so")
        needing(compiled_library, "libnvinfer.10", capi / "libonnxruntime_providers_tensorrt.so")
        result = check(site, "providers")
        assert (result.severity, [item.severity for item in result.findings]) == ("note", ["note", "ok"])
        assert result.findings[1].evidence == f"loads {CUDA}, {CPU}"

    def test_a_package_for_gpus_with_the_cpus_provider_alone(self, site: Path) -> None:
        add_onnxruntime(site, CPU)
        assert check(site, "providers").severity == "error"


class TestLibraries:
    def test_two_copies_of_a_library_and_two_openmp_runtimes(
        self, site: Path, compiled_library: Path
    ) -> None:
        names = ["a/libcudnn.so.8", "b/libcudnn.so.9", "a/libiomp5.so", "b/libgomp-1a2b3c4d.so.1.0.0"]
        copies = [site / name for name in names]
        for copy in copies:
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(compiled_library, copy)
        loads = "".join(f"ctypes.CDLL({str(copy)!r})\n" for copy in copies)
        (site / "torch.py").write_text(
            f"import ctypes\n{loads}__version__ = '2'\nclass version:\n    cuda = None\n"
        )
        result = check(site, "libraries")
        found = {item.subject: item for item in result.findings if item.severity == "warning"}
        assert set(found) == {"libcudnn", "OpenMP"}
        assert f"8 ({copies[0]}), 9 ({copies[1]})" in found["libcudnn"].evidence
        assert "2 runtimes are loaded" in found["OpenMP"].evidence

    def test_a_module_that_is_broken(self, site: Path) -> None:
        (site / "torch.py").write_text("raise ImportError('libtorch_cuda.so: undefined symbol: ncclX')\n")
        result = check(site, "libraries")
        assert result.severity == "error"
        assert "undefined symbol: ncclX" in result.findings[0].evidence

    def test_a_module_that_kills_the_process(self, site: Path) -> None:
        (site / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        result = check(site, "libraries")
        assert result.severity == "error"
        assert "ended the process with -11" in result.findings[0].evidence

    def test_a_module_that_hangs(self, site: Path) -> None:
        (site / "torch.py").write_text("import time\ntime.sleep(60)\n")
        with pytest.raises(DoctorError, match=r"importing torch took longer than 0\.5 s"):
            run_probe(["torch"], environ=environment(site), limit_s=0.5)


def test_versions_that_do_not_fit(site: Path, compiled_library: Path) -> None:
    add_onnxruntime(site, CUDA, CPU)
    cudnn = 'nvidia-cudnn-cu13~=9.0; extra == "cudnn"'
    add_distribution(site, "onnxruntime-gpu", "1.31.1", requires=cudnn)
    copy = site / "libcudnn.so.8"
    shutil.copy(compiled_library, copy)
    (site / "torch.py").write_text(
        f"import ctypes\nctypes.CDLL({str(copy)!r})\n__version__ = '2.7.0'\n"
        "class version:\n    cuda = '12.8'\n"
        "class backends:\n    class cudnn:\n        version = staticmethod(lambda: 8907)\n"
        "class cuda:\n    device_count = staticmethod(lambda: 0)\n"
    )
    found = {item.subject: item for item in check(site, "versions").findings if item.severity != "ok"}
    assert found["cuDNN"].severity == "error"
    assert found["CUDA"].severity == "warning"
    assert "built for CUDA 13, torch 2.7.0 for 12" in found["CUDA"].evidence


def test_what_is_really_installed_is_understood() -> None:
    found = run_probe(["numpy", "onnxruntime"])
    assert found.versions.keys() == {"numpy", "onnxruntime"}
    assert CPU in found.onnxruntime["providers"]
    assert {"libc", "libstdc++"} <= {library.family for library in found.libraries}


def test_the_answer_is_json_whatever_is_printed(site: Path) -> None:
    (site / "torch.py").write_text("print('welcome')\nclass version:\n    cuda = None\n")
    command = [sys.executable, "-m", "airflow_provider_aiopt.doctor.probe", "torch"]
    ended = subprocess.run(
        command, env=environment(site), capture_output=True, text=True, timeout=60, check=True
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    assert answer["versions"] == {"torch": "unknown"}
    assert "welcome" in ended.stderr
