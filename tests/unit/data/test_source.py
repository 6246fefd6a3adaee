from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.data.listing import Entry, list_source
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.data.source import Source
from airflow_provider_aiopt.spec import SourceSpec


def source(uri: Path, **settings: Any) -> Source:
    spec = SourceSpec(uri=str(uri), **settings)
    return Source(spec, *list_source(spec))


def read(
    found: Source, pool: ThreadPoolExecutor, start: int = 0, stop: int = 1000
) -> list[Record | BadRecord]:
    return list(found.read(start, stop, pool, ahead=3))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in range(7):
        (tmp_path / f"{number}.txt").write_bytes(b"" if number == 3 else b"x" * (number + 1))
    return tmp_path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "one.csv").write_text("key,text\np,first\nq,\nr,third\n")
    (tmp_path / "two.csv").write_text("key,text\ns,fourth\n,fifth\n")
    return tmp_path


class TestFiles:
    def test_records_come_in_the_order_of_the_listing(
        self, files: Path, executor: ThreadPoolExecutor
    ) -> None:
        found = source(files)
        records = read(found, executor)

        assert found.count() == len(records) == 7
        assert [record.id for record in records] == [f"{number}.txt" for number in range(7)]
        assert records[1] == Record(
            "1.txt", f"file://{files}/1.txt", b"xx", hashlib.sha256(b"xx").hexdigest()
        )

    def test_a_bad_file_stands_in_its_place(self, files: Path, executor: ThreadPoolExecutor) -> None:
        assert read(source(files), executor)[3] == BadRecord(
            "3.txt", f"file://{files}/3.txt", "ingest", "EmptyRecordError", "The file holds no bytes"
        )

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 3), (2, 5), (6, 7), (7, 9)])
    def test_ranges(self, files: Path, executor: ThreadPoolExecutor, start: int, stop: int) -> None:
        found = source(files)

        assert read(found, executor, start, stop) == read(found, executor)[start:stop]

    def test_an_escape_whose_target_is_no_utf_8_can_be_told(
        self, tmp_path: Path, executor: ThreadPoolExecutor
    ) -> None:
        outside = tmp_path / os.fsdecode(b"caf\xe9")
        outside.write_bytes(b"x")
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "link").symlink_to(outside)
        (bad,) = read(source(tmp_path / "root"), executor)

        assert isinstance(bad, BadRecord)
        assert bad.error_class == "PathEscapeError"
        assert bad.message.encode()
        assert "caf\\xe9" in bad.message


class TestSmallFiles:
    """What one call of the executor reads."""

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        made: list[list[str]] = []
        read_group = Source._read_group

        def spy(found: Source, entries: Sequence[Entry]) -> Any:
            made.append([entry.name for entry in entries])
            return read_group(found, entries)

        monkeypatch.setattr(Source, "_read_group", spy)
        return made

    def source_of(self, folder: Path, sizes: Sequence[int]) -> Source:
        for number, size in enumerate(sizes):
            (folder / f"{number:03d}.txt").write_bytes(b"x" * size)
        return source(folder)

    def test_many_share_a_call(self, tmp_path: Path, calls: list[list[str]]) -> None:
        found = self.source_of(tmp_path, [1] * 100)
        with ThreadPoolExecutor(1) as pool:
            records = list(found.read(0, 100, pool, ahead=1))

        assert [record.id for record in records] == [f"{number:03d}.txt" for number in range(100)]
        assert [len(names) for names in calls] == [12] * 8 + [4]

    def test_few_are_shared_out(self, tmp_path: Path, calls: list[list[str]]) -> None:
        found = self.source_of(tmp_path, [1] * 20)
        with ThreadPoolExecutor(1) as pool:
            list(found.read(0, 20, pool, ahead=4))

        assert [len(names) for names in calls] == [1] * 20

    def test_large_ones_have_their_own(self, tmp_path: Path, calls: list[list[str]]) -> None:
        found = self.source_of(tmp_path, [40_000, 20_000, 20_000, 100_000, 1] * 10)
        with ThreadPoolExecutor(1) as pool:
            list(found.read(0, 50, pool, ahead=1))

        assert [len(names) for names in calls[:4]] == [2, 1, 1, 3]

    def test_files_larger_than_listed_are_left_to_other_calls(
        self, tmp_path: Path, calls: list[list[str]]
    ) -> None:
        found = self.source_of(tmp_path, [0] * 32)
        for number in range(32):
            (tmp_path / f"{number:03d}.txt").write_bytes(b"x" * 70_000)
        with ThreadPoolExecutor(1) as pool:
            records = list(found.read(0, 32, pool, ahead=1))
            read_at_once = found._read_group(found.entries[:4])

        assert [record.id for record in records] == [f"{number:03d}.txt" for number in range(32)]
        assert calls[0] == [f"{number:03d}.txt" for number in range(4)]
        assert len(read_at_once[0]) == 1
        assert list(read_at_once[1]) == list(found.entries[1:4])


class TestRows:
    def settings(self, **more: Any) -> dict[str, Any]:
        return {"format": "csv", "columns": ("text",), **more}

    def test_rows_are_numbered_within_their_file(self, rows: Path, executor: ThreadPoolExecutor) -> None:
        found = source(rows, **self.settings())
        records = read(found, executor)

        assert found.count() == len(records) == 5
        assert [record.id for record in records] == [
            "one.csv#0",
            "one.csv#1",
            "one.csv#2",
            "two.csv#0",
            "two.csv#1",
        ]
        assert records[2].uri == f"file://{rows}/one.csv#row=2"
        assert [type(record) for record in records] == [Record, BadRecord, Record, Record, Record]

    def test_a_column_may_name_them(self, rows: Path, executor: ThreadPoolExecutor) -> None:
        records = read(source(rows, **self.settings(id_column="key")), executor)

        assert [record.id for record in records] == ["p", "q", "r", "s", ""]

    @pytest.mark.parametrize(
        ("line", "record_id"),
        [
            (b'{"key": "\\ud800", "text": "x"}', "\\ud800"),
            (b'{"key": 7, "text": "x"}', "7"),
            (b'{"key": null, "text": "x"}', "rows.jsonl#0"),
            (b'{"text": "x"}', "rows.jsonl#0"),
        ],
    )
    def test_every_name_can_be_stored(
        self, tmp_path: Path, executor: ThreadPoolExecutor, line: bytes, record_id: str
    ) -> None:
        (tmp_path / "rows.jsonl").write_bytes(line)
        (record,) = read(source(tmp_path, format="jsonl", columns=("text",), id_column="key"), executor)

        assert record.id == record_id
        assert record.id.encode()

    def test_a_name_that_is_no_utf_8(self, tmp_path: Path, executor: ThreadPoolExecutor) -> None:
        (tmp_path / "rows.csv").write_bytes(b"key,text\ncaf\xe9,x\n")
        (record,) = read(source(tmp_path, **self.settings(id_column="key")), executor)

        assert record.id == "caf\\xe9"

    @pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, 4), (4, 5), (5, 9)])
    def test_ranges_run_across_files(
        self, rows: Path, executor: ThreadPoolExecutor, start: int, stop: int
    ) -> None:
        found = source(rows, **self.settings())

        assert read(found, executor, start, stop) == read(found, executor)[start:stop]


class TestFingerprint:
    def test_the_same_listing_has_the_same(self, files: Path) -> None:
        assert source(files).fingerprint(0, 3) == source(files).fingerprint(0, 3)

    def test_it_does_not_depend_on_credentials(self, files: Path) -> None:
        assert source(files).fingerprint(0, 3) == source(
            files, storage_options={"auto_mkdir": False}
        ).fingerprint(0, 3)

    def test_each_range_has_its_own(self, files: Path) -> None:
        found = source(files)

        assert len({found.fingerprint(*bounds) for bounds in ((0, 3), (0, 4), (1, 3), (3, 6))}) == 4

    @pytest.mark.parametrize(
        "change",
        [
            lambda files: (files / "1.txt").write_bytes(b"longer than before"),
            lambda files: os.utime(files / "1.txt", ns=(1, 1)),
            lambda files: (files / "1.txt").rename(files / "1a.txt"),
            lambda files: (files / "0.txt").unlink(),
        ],
        ids=["size", "time", "name", "gone"],
    )
    def test_what_changes_a_record_changes_it(self, files: Path, change: Any) -> None:
        before = source(files).fingerprint(0, 3)
        change(files)

        assert source(files).fingerprint(0, 3) != before

    def test_changes_elsewhere_do_not(self, files: Path) -> None:
        before = source(files).fingerprint(0, 3)
        (files / "5.txt").write_bytes(b"other")
        (files / "9.txt").write_bytes(b"new")

        assert source(files).fingerprint(0, 3) == before

    def test_how_records_are_read_changes_it(self, files: Path) -> None:
        assert source(files).fingerprint(0, 3) != source(files, max_record_bytes=2).fingerprint(0, 3)

    def test_rows_depend_on_all_files(self, rows: Path) -> None:
        settings = {"format": "csv", "columns": ("text",)}
        before = source(rows, **settings).fingerprint(0, 1)
        (rows / "two.csv").write_text("key,text\nchanged,changed\n")

        assert source(rows, **settings).fingerprint(0, 1) != before
