from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_aiopt.data.folder import Folder, resolve_filesystem
from airflow_provider_aiopt.exceptions import ShardError
from airflow_provider_aiopt.runner.index import RunIndex, open_source, read_index, write_index
from airflow_provider_aiopt.spec import SourceSpec


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.open(str(tmp_path / "ingest"))


def listed(folder: Folder, data: Path, **settings: object) -> list[str]:
    spec = SourceSpec.model_validate({"uri": str(data)} | settings)
    return [entry.name for entry in open_source(folder, spec, resolver=resolve_filesystem).entries]


def test_an_attempt_sees_what_the_killed_one_before_it_saw(folder: Folder, data: Path) -> None:
    assert listed(folder, data) == ["a.txt", "b.txt"]
    (data / "c.txt").write_text("c")
    (data / "a.txt").unlink()
    assert listed(folder, data) == ["a.txt", "b.txt"]


def test_once_ingestion_has_finished_it_looks_again(folder: Folder, data: Path) -> None:
    listed(folder, data)
    write_index(folder, RunIndex(records=2, shards=("00000",)))
    (data / "c.txt").write_text("c")

    assert listed(folder, data) == ["a.txt", "b.txt", "c.txt"]
    assert read_index(folder) is None, "the run has no shards until they are read"


def test_another_source_is_listed_anew(folder: Folder, data: Path) -> None:
    listed(folder, data)
    assert listed(folder, data, pattern="a*") == ["a.txt"]


def test_names_that_are_no_utf8_survive(folder: Folder, data: Path) -> None:
    name = b"caf\xe9.txt"
    (data / os.fsdecode(name)).write_text("x")
    first = listed(folder, data)
    assert os.fsdecode(name) in first
    assert listed(folder, data) == first


def test_an_index_is_read_back(folder: Folder) -> None:
    index = RunIndex(records=5, shards=("00000", "00001"))
    write_index(folder, index)
    assert read_index(folder) == index


def test_a_broken_index_says_what_to_do(folder: Folder) -> None:
    folder.write("index.json", b"{}")
    with pytest.raises(ShardError, match=r"index\.json is no run index.*Clear the ingest task"):
        read_index(folder)
