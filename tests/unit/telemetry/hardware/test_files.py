from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.telemetry.hardware.files import list_folder, read_file


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "stat").write_bytes(b"x" * 200_000)
    assert read_file(str(tmp_path / "stat")) == b"x" * 200_000


def test_what_cannot_be_opened_or_read_is_not_known(tmp_path: Path) -> None:
    assert read_file(str(tmp_path / "none")) is None
    assert read_file(str(tmp_path)) is None, "a folder opens, but reading it fails"


def test_a_folder_that_is_gone_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "17").mkdir()
    assert list_folder(str(tmp_path)) == ["17"]
    assert list_folder(str(tmp_path / "18")) == []
