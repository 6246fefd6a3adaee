from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_aiopt.telemetry import memory_limit as module
from airflow_provider_aiopt.telemetry.memory_limit import memory_limit

MACHINE = 16_000


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the control groups of a process in ``/pods/task``, none of which has a limit."""
    root = tmp_path / "cgroup"
    (root / "pods" / "task").mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("3:cpu:/elsewhere\n0::/pods/task\n")
    monkeypatch.setattr(module, "_ROOT", root)
    monkeypatch.setattr(module, "_CGROUP", membership)
    monkeypatch.setattr(module, "_machine_memory", lambda: MACHINE)
    return root


def test_without_groups_it_is_the_machines_memory(groups: Path) -> None:
    assert memory_limit() == MACHINE


@pytest.mark.parametrize("group", ["pods/task", "pods", "."])
def test_a_limit_of_the_group_or_one_above_holds(groups: Path, group: str) -> None:
    (groups / "pods" / "task" / "memory.max").write_text("max\n")
    (groups / group / "memory.max").write_text("5000\n")

    assert memory_limit() == 5000


def test_the_smallest_holds(groups: Path) -> None:
    (groups / "pods" / "task" / "memory.max").write_text("5000\n")
    (groups / "pods" / "memory.max").write_text("4000\n")

    assert memory_limit() == 4000


def test_a_limit_above_the_machines_memory_is_none(groups: Path) -> None:
    (groups / "pods" / "memory.max").write_text("999999\n")

    assert memory_limit() == MACHINE


@pytest.mark.parametrize("membership", ["", "3:memory:/pods/task\n"], ids=["empty", "version 1"])
def test_without_version_2_it_is_the_machines(groups: Path, tmp_path: Path, membership: str) -> None:
    (groups / "pods" / "memory.max").write_text("5000\n")
    (tmp_path / "membership").write_text(membership)

    assert memory_limit() == MACHINE


def test_nothing_known_is_zero(groups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "membership").unlink()
    monkeypatch.setattr(module, "_machine_memory", lambda: 0)

    assert memory_limit() == 0


def test_this_machine_has_memory() -> None:
    assert memory_limit() > 2**20
