from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_aiopt.data.cache import packs
from airflow_provider_aiopt.data.cache.packs import PackFolder

HOUR = 3600 * 10**9


def test_nothing_but_its_own_files_is_ever_removed(tmp_path: Path) -> None:
    foreign = [tmp_path / "cache" / name for name in ("photo.jpg", "other/photo.jpg", "other/no-number.rows")]
    folder = PackFolder(tmp_path / "cache", "kind", 100)
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
    for _ in range(5):
        folder.write([bytes(60)], 1)

    assert all(path.exists() for path in foreign)
    assert len(folder.names()) == 1


def test_what_a_killed_writer_left_goes_after_an_hour(tmp_path: Path) -> None:
    now = 10 * HOUR
    folder = PackFolder(tmp_path, "kind", 100, now_ns=lambda: now)
    for name, age in (("old.rows.partial", 2 * HOUR), ("new.rows.partial", HOUR // 2)):
        path = folder.path / name
        path.write_bytes(b"x")
        os.utime(path, ns=(now - age, now - age))
    folder.write([bytes(10)], 1)

    assert [path.name for path in folder.path.glob("*.partial")] == ["new.rows.partial"]


def test_rows_and_files_are_bounded_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**9, 10**12, 10**9))
    folder = PackFolder(tmp_path, "kind", 640, now_ns=lambda: next(ticks))
    monkeypatch.setattr(packs, "_MOST_ROWS", 10)
    for _ in range(6):
        folder.write([bytes(30)], 4)  # more than a 32nd: each is measured
    assert len(folder.names()) == 2
    monkeypatch.setattr(packs, "_MOST_ROWS", 1000)
    monkeypatch.setattr(packs, "_MOST_PACKS", 3)
    for _ in range(6):
        folder.write([bytes(30)], 4)
    assert len(folder.names()) == 3


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    folder = PackFolder(tmp_path, "kind", 100)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space left"):
        folder.write([bytes(10)], 1)

    assert not list(folder.path.iterdir())


def test_a_write_costs_no_look_at_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    measure = PackFolder._measure
    monkeypatch.setattr(PackFolder, "_measure", lambda folder: looks.append(1) or measure(folder))
    folder = PackFolder(tmp_path, "kind", 320_000)
    for _ in range(1000):
        folder.write([bytes(1000)], 1)

    assert len(looks) <= 1000 // 10 + 1
