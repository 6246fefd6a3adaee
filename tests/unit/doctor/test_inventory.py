from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from airflow_provider_aiopt.doctor.compatibility import load_compatibility
from airflow_provider_aiopt.doctor.inventory import judge_inventory, read_inventory
from airflow_provider_aiopt.doctor.models import Finding

TABLE = load_compatibility()


class Site:
    """A folder of installed distributions, of which only the metadata are there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        python: str | None = None,
        files: Sequence[str] = (),
    ) -> None:
        folder = self._folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {text}" for text in requires]
        lines += [f"Requires-Python: {python}"] if python else []
        (folder / "METADATA").write_text("\n".join(lines) + "\n\n")
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))

    def findings(self, python: str = "3.12.4") -> list[Finding]:
        installed = read_inventory(TABLE.modules, [str(self._folder)])
        return list(judge_inventory(installed, TABLE, python))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_fits_together(site: Site) -> None:
    site.add("apache-airflow", "3.3.2", requires=["apache-airflow-core==3.3.2"], python=">=3.10")
    site.add("apache-airflow-core", "3.3.2")
    site.add("onnxruntime-gpu", "1.31.1", files=["onnxruntime/__init__.py"])
    site.add("unrelated", "1.0", requires=["absent>=2"])
    (found,) = site.findings()
    assert found.severity == "ok"
    assert "the requirements of 3 of 4 are met" in found.evidence


@pytest.mark.parametrize("other", ["onnxruntime-gpu", "onnxruntime-openvino"])
def test_two_packages_of_the_same_module(site: Site, other: str) -> None:
    site.add("onnxruntime", "1.32.0", files=["onnxruntime/__init__.py"])
    site.add(other, "1.31.1", files=["onnxruntime/__init__.py", "onnxruntime/capi/x.so"])
    (found,) = site.findings()
    assert (found.severity, found.subject) == ("error", "module onnxruntime")
    assert f"{other} 1.31.1" in found.evidence
    assert "onnxruntime 1.32.0" in found.evidence
    assert found.remedy.startswith("pip uninstall ")


@pytest.mark.parametrize(
    ("celery", "provider", "bad"),
    [
        ("5.7.0", "3.26.0", True),
        ("5.6.3", "3.26.0", False),
        ("5.8.1", "3.11.0", True),
        ("5.7.0", "3.27.0", False),
    ],
)
def test_a_celery_that_the_provider_does_not_start_with(
    site: Site, celery: str, provider: str, bad: bool
) -> None:
    site.add("celery", celery)
    site.add("apache-airflow-providers-celery", provider, requires=["celery>=5.5"])
    found = [item for item in site.findings() if item.severity == "error"]
    assert bool(found) is bad
    if bad:
        assert found[0].evidence.startswith(f"{celery} beside apache-airflow-providers-celery {provider}")
        assert found[0].remedy == "pip install 'celery>=5.5,<5.7'"


def test_an_airflow_of_another_version_than_a_provider_needs(site: Site) -> None:
    site.add("apache-airflow", "3.1.0")
    site.add("apache-airflow-providers-cncf-kubernetes", "12.0", requires=["apache-airflow>=3.2"])
    (found,) = site.findings()
    assert (found.severity, found.subject) == ("error", "apache-airflow-providers-cncf-kubernetes 12.0")
    assert found.evidence == "needs apache-airflow>=3.2, and 3.1.0 is installed"


def test_a_requirement_that_is_not_there(site: Site) -> None:
    site.add(
        "torch",
        "2.15.0",
        requires=["filelock", 'triton==3.1; platform_system == "Neverland"', 'opt; extra == "opt"'],
    )
    (found,) = site.findings()
    assert (found.severity, found.evidence) == ("error", "needs filelock, which is not installed")


def test_a_python_that_a_package_is_not_for(site: Site) -> None:
    site.add("apache-airflow", "3.1.0", python=">=3.10,<3.13,!=3.12.*")
    (found,) = site.findings()
    assert (found.severity, found.subject) == ("error", "apache-airflow 3.1.0")
    assert "and this is 3.12.4" in found.evidence


@pytest.mark.parametrize(
    ("airflow", "python", "subjects"),
    [
        ("3.3.2", "3.11.7", []),
        ("3.4.0", "3.12.1", ["apache-airflow"]),
        ("2.11.0", "3.12.1", ["apache-airflow"]),
        ("3.1.0", "3.14.0", ["python"]),
    ],
)
def test_versions_that_nobody_tested_are_a_note(
    site: Site, airflow: str, python: str, subjects: list[str]
) -> None:
    site.add("apache-airflow", airflow)
    found = [item for item in site.findings(python) if item.severity != "ok"]
    assert [item.subject for item in found] == subjects
    assert all(item.severity == "note" for item in found)


def test_the_first_on_the_path_is_the_one_that_counts(tmp_path: Path) -> None:
    for folder, version in (("first", "1.0"), ("second", "2.0")):
        (tmp_path / folder).mkdir()
        Site(tmp_path / folder).add("celery", version)
    installed = read_inventory((), [str(tmp_path / "first"), str(tmp_path / "second")])
    assert installed["celery"].version == "1.0"
