from __future__ import annotations

import pytest

from airflow_provider_aiopt.doctor.libraries import judge_libraries
from airflow_provider_aiopt.doctor.models import Finding
from airflow_provider_aiopt.doctor.probe import Library


def bad(*libraries: Library) -> list[Finding]:
    return [item for item in judge_libraries(libraries) if item.severity != "ok"]


def test_libraries_that_are_loaded_once_are_said_with_version_and_path() -> None:
    found = list(judge_libraries([Library("libcudnn", "/a/libcudnn.so.9", "9.26.0"), Library("libz", "/b")]))
    assert [item.severity for item in found] == ["ok", "ok"]
    assert found[0].evidence == "9.26.0 (/a/libcudnn.so.9)"
    assert found[1].evidence == "2 are loaded, none of those that matter twice"


def test_two_copies_of_cudnn() -> None:
    (found,) = bad(
        Library("libcudnn", "/usr/lib/libcudnn.so.8", "8.9.7"),
        Library("libcudnn", "/venv/libcudnn.so.9", "9.26.0"),
    )
    assert (found.severity, found.subject) == ("warning", "libcudnn")
    assert "2 times, 8.9.7 (/usr/lib/libcudnn.so.8), 9.26.0 (/venv/libcudnn.so.9)" in found.evidence


@pytest.mark.parametrize(
    "other", [Library("libiomp5", "/b/libiomp5.so", None, 16), Library("libgomp", "/b/libgomp.so.1", "1", 16)]
)
def test_two_openmp_runtimes(other: Library) -> None:
    (found,) = bad(Library("libgomp", "/a/libgomp.so.1", "1", 16), other)
    assert (found.severity, found.subject) == ("warning", "OpenMP")
    assert found.evidence.startswith("2 runtimes are loaded, which start up to 32 threads in all")


def test_two_copies_of_what_may_be_there_twice() -> None:
    assert bad(Library("libz", "/a/libz.so.1", "1"), Library("libz", "/b/libz.so.1", "1")) == []
