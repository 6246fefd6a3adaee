from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import SourceError, StorageError
from airflow_provider_aiopt.optimize.folder import file_sha256, new_model_folder
from airflow_provider_aiopt.spec.card import CARD_FILE


def _leftovers(parent: Path) -> list[str]:
    return [path.name for path in parent.iterdir() if path.name.startswith(".")]


def _write(output: Path, content: str) -> None:
    with new_model_folder(output) as folder:
        (folder / CARD_FILE).write_text(content)


def test_the_folder_appears_when_all_is_written(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "model"
    with new_model_folder(output) as folder:
        (folder / CARD_FILE).write_text("{}")
        assert not output.exists()
    assert [path.name for path in output.iterdir()] == [CARD_FILE]
    assert output.stat().st_mode & 0o055 == (tmp_path / "deep").stat().st_mode & 0o055
    assert not _leftovers(output.parent)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail_halfway() -> None:
        with new_model_folder(tmp_path / "model") as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise SourceError("no data")

    with pytest.raises(SourceError, match="no data"):
        fail_halfway()
    assert not list(tmp_path.iterdir())


def test_a_model_folder_is_replaced(tmp_path: Path) -> None:
    _write(tmp_path / "model", "old")
    _write(tmp_path / "model", "new")
    assert (tmp_path / "model" / CARD_FILE).read_text() == "new"
    assert not _leftovers(tmp_path)


def test_an_error_leaves_the_old_model_folder(tmp_path: Path) -> None:
    _write(tmp_path / "model", "old")
    with pytest.raises(KeyboardInterrupt), new_model_folder(tmp_path / "model"):
        raise KeyboardInterrupt
    assert (tmp_path / "model" / CARD_FILE).read_text() == "old"
    assert not _leftovers(tmp_path)


def test_anything_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="is no model folder"), new_model_folder(tmp_path / "precious"):
        pytest.fail("it may not begin")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"Cannot write .*model"),
        new_model_folder(tmp_path / "file" / "model"),
    ):
        pytest.fail("it may not begin")


def test_a_write_that_fails_midway_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Cannot write"), new_model_folder(tmp_path / "model") as folder:
        (folder / "missing" / "model.onnx").write_bytes(b"")
    assert not list(tmp_path.iterdir())


def test_a_file_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
