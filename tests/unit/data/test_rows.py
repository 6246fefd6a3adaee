from __future__ import annotations

import csv
import io
import json
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.listing import Entry, Root, list_source
from airflow_provider_aiopt.data.remote_file import RemoteFile
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.data.rows import count_rows, iter_rows, row_payload
from airflow_provider_aiopt.exceptions import (
    DecodeError,
    EmptyRecordError,
    RecordError,
    RecordReadError,
    RecordTooLargeError,
    SourceError,
)
from airflow_provider_aiopt.spec import SourceSpec

FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def spec_of(
    uri: Path | str, format_name: str, columns: tuple[str, ...] = ("a", "b"), **more: Any
) -> SourceSpec:
    return SourceSpec(uri=str(uri), format=format_name, columns=columns, **more)


def rows_of(content: bytes, folder: Path, format_name: str, *columns: str, **more: Any) -> list[Any]:
    """The rows of a file with this content; errors as ``ClassName: message``."""
    path = folder / "rows"
    path.write_bytes(content)
    spec = spec_of(path, format_name, columns or ("a", "b"), **more)
    root, (entry,) = list_source(spec)
    return [
        f"{type(row).__name__}: {row}" if isinstance(row, RecordError) else row
        for row in iter_rows(root, entry, spec)
    ]


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


class TestCsv:
    @pytest.mark.parametrize(
        ("content", "rows"),
        [
            (b"a,b\n1,2\n3,4", [("1", "2"), ("3", "4")]),
            (b"a,b\r\n1,2\r\n", [("1", "2")]),
            (b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")]),
            (b'a,b\n"1,5","say ""x"""\n', [("1,5", 'say "x"')]),
            (b'a,b\n"line\nbreak","carriage\r\nreturn"\n', [("line\nbreak", "carriage\r\nreturn")]),
            (b"a,b\n\n1,2\n\n", [("1", "2")]),
            (b"b,a\n2,1\n", [("1", "2")]),
            (b"a,b\n1,\n", [("1", "")]),
            (b"a,b\n1,x\0y\n", [("1", "x\0y")]),
            (b"a,b\n", []),
        ],
    )
    def test_what_is_written(self, tmp_path: Path, content: bytes, rows: list[tuple[str, str]]) -> None:
        assert [(row["a"], row["b"]) for row in rows_of(content, tmp_path, "csv")] == rows

    @pytest.mark.parametrize(
        ("content", "rows"),
        [
            (b"", ["EmptyRecordError: The file holds no bytes"]),
            (b"a,c\n1,2\n", ["DecodeError: The file has no column 'b'; it has 'a', 'c'"]),
            (b"x,y\n1,2\n", ["DecodeError: The file has no column 'a', 'b'; it has 'x', 'y'"]),
            (b"\xff,b\n1,2\n", ["DecodeError: The file has no column 'a'; it has '\\udcff', 'b'"]),
            (
                b"a,b\n1\n1,2,3\n5,6\n",
                [
                    "DecodeError: Line 2 has 1 fields; the header names 2",
                    "DecodeError: Line 3 has 3 fields; the header names 2",
                    {"a": "5", "b": "6"},
                ],
            ),
            (
                b'a,b\n1,2\n3,"never closed\n5,6\n',
                [{"a": "1", "b": "2"}, "DecodeError: Line 4 is not valid CSV: unexpected end of data"],
            ),
            (
                b'a,b\n"1"x,2\n3,4\n',
                ["DecodeError: Line 2 is not valid CSV: ',' expected after '\"'", {"a": "3", "b": "4"}],
            ),
            (b'"a,b\n1,2\n', ["DecodeError: Line 2 is not valid CSV: unexpected end of data"]),
        ],
    )
    def test_what_is_wrong_stands_in_the_place_of_the_row(
        self, tmp_path: Path, content: bytes, rows: list[Any]
    ) -> None:
        assert rows_of(content, tmp_path, "csv") == rows

    def test_bytes_that_are_no_utf_8_spoil_their_own_row_only(self, tmp_path: Path) -> None:
        bad, good = rows_of(b"a,b\ncaf\xe9,1\nfine,2\n", tmp_path, "csv")

        with pytest.raises(DecodeError, match="The row is not valid UTF-8: surrogates not allowed"):
            row_payload(bad, spec_of("x", "csv"))
        assert row_payload(good, spec_of("x", "csv")) == b'["fine", "2"]'

    def test_a_field_may_be_as_large_as_a_record(self, tmp_path: Path) -> None:
        long = "x" * 300_000

        assert rows_of(f"a,b\n1,{long}\n".encode(), tmp_path, "csv") == [{"a": "1", "b": long}]

    def test_a_field_that_is_larger_is_skipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv, "field_size_limit", lambda *_: 0)  # the process's limit stays as it is
        limit = 131_072
        content = f"a,b\n1,{'x' * (limit + 1)}\n3,4\n".encode()
        csv_limit = _csv_limit(limit)
        try:
            found = rows_of(content, tmp_path, "csv")
        finally:
            _csv_limit(csv_limit)

        assert found == [
            f"RecordTooLargeError: Line 2 is not valid CSV: field larger than field limit ({limit})",
            {"a": "3", "b": "4"},
        ]

    @given(rows=st.lists(st.tuples(FIELDS, FIELDS), max_size=5))
    def test_what_the_csv_module_writes_is_read_back(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
    ) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b"), *rows])
        found = rows_of(text.getvalue().encode(), tmp_path_factory.getbasetemp(), "csv")

        assert [(row["a"], row["b"]) for row in found] == rows


def _csv_limit(value: int) -> int:
    """Set the csv module's limit beneath whatever the tests put over it."""
    import _csv

    return _csv.field_size_limit(value)


class TestJsonLines:
    @pytest.mark.parametrize(
        ("content", "rows"),
        [
            (b'{"a": 1}\n\n{"a": "x\\ny"}', [{"a": 1}, {"a": "x\ny"}]),
            (b'{"a": 1}\r\n', [{"a": 1}]),
            (b'{"a": null, "b": [1]}\n', [{"a": None, "b": [1]}]),
            (b'\xef\xbb\xbf{"a": 1}\n', [{"a": 1}]),
            (b"", []),
            (b"[1]\n", ["DecodeError: Line 1 holds list, not an object"]),
            (b'"x"\n{"a": 1}\n', ["DecodeError: Line 1 holds str, not an object", {"a": 1}]),
        ],
    )
    def test_a_row_per_line(self, tmp_path: Path, content: bytes, rows: list[Any]) -> None:
        assert rows_of(content, tmp_path, "jsonl") == rows

    @pytest.mark.parametrize(
        "line",
        [
            b"{",
            b'{"a": }',
            b'{"a": "caf\xe9"}',
            b'{"a": "\0"}',
            b'{"a": ' + b"[" * 100_000,
            b'{"a": ' + b"1" * 5000 + b"}",
        ],
    )
    def test_what_is_no_json_stands_in_the_place_of_the_row(self, tmp_path: Path, line: bytes) -> None:
        bad, good = rows_of(b"%s\n%s\n" % (line, b'{"a": 1}'), tmp_path, "jsonl")

        assert bad.startswith("DecodeError: Line 1 is not valid JSON: ")
        assert good == {"a": 1}


class TestParquet:
    def test_only_the_columns_that_are_asked_for(self, tmp_path: Path) -> None:
        table = pa.table({"a": [1, None], "b": [b"x", b"y"], "c": ["no", "no"], "id": ["p", "q"]})

        assert rows_of(parquet(table), tmp_path, "parquet", id_column="id") == [
            {"a": 1, "b": b"x", "id": "p"},
            {"a": None, "b": b"y", "id": "q"},
        ]

    def test_more_rows_than_are_held_at_once(self, tmp_path: Path) -> None:
        content = parquet(pa.table({"a": range(1000)}))

        assert [row["a"] for row in rows_of(content, tmp_path, "parquet", "a")] == list(range(1000))

    def test_a_missing_column(self, tmp_path: Path) -> None:
        content = parquet(pa.table({"x": [1], "b": [1]}))

        assert rows_of(content, tmp_path, "parquet") == [
            "DecodeError: The file has no column 'a'; it has 'x', 'b'"
        ]

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + bytes(50) + b"PAR1"])
    def test_what_is_no_parquet(self, tmp_path: Path, content: bytes) -> None:
        (bad,) = rows_of(content, tmp_path, "parquet")

        assert bad.startswith("DecodeError: The file is not valid Parquet: ")

    def test_a_file_that_is_damaged_inside(self, tmp_path: Path) -> None:
        content = bytearray(parquet(pa.table({"a": ["x" * 100] * 100})))
        content[4:40] = bytes(36)

        *_, bad = rows_of(bytes(content), tmp_path, "parquet", "a")

        assert bad.startswith("DecodeError: ")

    def test_values_that_python_cannot_hold_spoil_their_own_row_only(self, tmp_path: Path) -> None:
        year_294247 = 2**63 - 1
        content = parquet(pa.table({"a": pa.array([0, year_294247, 1], pa.timestamp("us"))}))
        first, bad, last = rows_of(content, tmp_path, "parquet", "a")

        assert first == {"a": datetime(1970, 1, 1)}  # noqa: DTZ001 - what the file holds
        assert bad.startswith("DecodeError: The row cannot be represented: ")
        assert last["a"].microsecond == 1

    def test_text_that_is_no_utf_8_spoils_its_own_row_only(self, tmp_path: Path) -> None:
        text = pa.array([b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
        good, bad = rows_of(parquet(pa.table({"a": text})), tmp_path, "parquet", "a")

        assert good == {"a": "fine"}
        assert bad.startswith("DecodeError: The row cannot be represented: 'utf-8' codec can't decode")


class TestRowGroups:
    """1000 rows in groups of 100, of a narrow column and a wide one."""

    @pytest.fixture
    def content(self) -> bytes:
        wide = [random.Random(number).randbytes(500) for number in range(1000)]
        buffer = io.BytesIO()
        table = pa.table({"a": range(1000), "wide": wide})
        pq.write_table(table, buffer, row_group_size=100, compression="none", use_dictionary=False)
        return buffer.getvalue()

    @pytest.fixture
    def fetched(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many bytes each read of a remote file took."""
        sizes: list[int] = []
        readinto = RemoteFile.readinto

        def counted(self: RemoteFile, buffer: Any) -> int:
            sizes.append(readinto(self, buffer))
            return sizes[-1]

        monkeypatch.setattr(RemoteFile, "readinto", counted)
        return sizes

    def file(self, remote: str, content: bytes, *columns: str) -> tuple[Root, Entry, SourceSpec]:
        fsspec.filesystem("memory").pipe_file(f"{remote}/rows", content)
        spec = spec_of(remote, "parquet", columns or ("a",))
        root, (entry,) = list_source(spec)
        return root, entry, spec

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 1), (0, 100), (99, 101), (250, 251), (130, 470), (128, 129), (999, 1000), (1000, 2000), (5, 5)],
    )
    def test_any_range(self, remote: str, content: bytes, start: int, stop: int) -> None:
        found = iter_rows(*self.file(remote, content), start, stop)

        assert [row["a"] for row in found] == list(range(1000))[start:stop]

    def test_counting_reads_the_footer_only(self, remote: str, content: bytes, fetched: list[int]) -> None:
        file = self.file(remote, content)

        assert count_rows(*file) == 1000
        assert sum(fetched) <= 64 * 1024 < len(content) / 8  # what the reader takes to find the footer

    def test_a_range_reads_its_row_groups_and_columns_only(
        self, remote: str, content: bytes, fetched: list[int]
    ) -> None:
        narrow, wide = self.file(remote, content), self.file(remote, content, "wide")
        count_rows(*narrow)
        footer = sum(fetched)
        fetched.clear()
        list(iter_rows(*narrow, 250, 260))
        assert sum(fetched) - footer < 2_000, "one group of a column of 8 bytes a row"

        fetched.clear()
        list(iter_rows(*wide, 250, 310))
        assert 100_000 < sum(fetched) - footer < 110_000, "two groups of a column of 504 bytes a row"

    def test_a_damaged_row_group_spoils_its_own_rows_only(self, tmp_path: Path, content: bytes) -> None:
        file = pq.ParquetFile(io.BytesIO(content))
        begin = file.metadata.row_group(3).column(0).data_page_offset
        (tmp_path / "rows").write_bytes(content[:begin] + bytes(20) + content[begin + 20 :])
        spec = spec_of(tmp_path, "parquet", ("a",))
        root, (entry,) = list_source(spec)

        def bad(start: int, stop: int) -> list[int]:
            found = enumerate(iter_rows(root, entry, spec, start, stop), start=start)
            return [number for number, row in found if isinstance(row, RecordError)]

        assert count_rows(root, entry, spec) == 1000
        assert bad(0, 1000) == list(range(300, 400))
        assert bad(350, 500) == list(range(350, 400))

    def test_an_outage_is_not_taken_for_damage(
        self, remote: str, content: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, entry, spec = self.file(remote, content)

        def fail(*_: object) -> int:
            raise SourceError("out of reach")

        monkeypatch.setattr(RemoteFile, "readinto", fail)
        with pytest.raises(SourceError, match="out of reach"):
            list(iter_rows(root, entry, spec))


class TestFiles:
    @pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
    def test_a_file_that_is_gone_is_one_bad_row(self, tmp_path: Path, format_name: str) -> None:
        (tmp_path / "rows").write_bytes(b"x")
        spec = spec_of(tmp_path, format_name)
        root, (entry,) = list_source(spec)
        (tmp_path / "rows").unlink()

        (bad,) = iter_rows(root, entry, spec)

        assert isinstance(bad, RecordReadError)

    @pytest.mark.parametrize("format_name", ["csv", "parquet"])
    def test_a_missing_id_column_is_no_silent_default(self, tmp_path: Path, format_name: str) -> None:
        content = b"a,b\n1,2\n" if format_name == "csv" else parquet(pa.table({"a": [1], "b": [2]}))

        assert rows_of(content, tmp_path, format_name, id_column="idd") == [
            "DecodeError: The file has no column 'idd'; it has 'a', 'b'"
        ]

    @pytest.mark.parametrize(
        ("format_name", "content"),
        [("csv", b"a,b\n1,2\n"), ("jsonl", b'{"a": "1", "b": "2"}'), ("parquet", None)],
    )
    def test_remote_files(self, remote: str, format_name: str, content: bytes | None) -> None:
        filesystem = fsspec.filesystem("memory")
        filesystem.pipe_file(f"{remote}/rows", content or parquet(pa.table({"a": ["1"], "b": ["2"]})))
        spec = spec_of(remote, format_name)
        root, (entry,) = list_source(spec)

        assert list(iter_rows(root, entry, spec)) == [{"a": "1", "b": "2"}]

    def test_an_outage_is_no_fault_of_the_rows(self, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
        filesystem = fsspec.filesystem("memory")
        filesystem.pipe_file(f"{remote}/rows", b"a,b\n")
        spec = spec_of(remote, "csv")
        root, (entry,) = list_source(spec, calls=RemoteCalls(spec, sleep=lambda _: None))

        def fail(*_: object, **__: object) -> None:
            raise TimeoutError("timed out")

        monkeypatch.setattr(filesystem, "open", fail)

        with pytest.raises(SourceError, match="rows: timed out, at the last of 4 attempts"):
            list(iter_rows(root, entry, spec))


class TestPayload:
    @pytest.mark.parametrize(
        ("values", "payload"),
        [
            (("text",), b"text"),
            (("café",), "café".encode()),
            ((b"\xff\x00",), b"\xff\x00"),
            ((3,), b"[3]"),
            ((0.1, 2), b"[0.1, 2]"),
            ((("x", None)[:1]), b"x"),
            (("x", "é"), '["x", "é"]'.encode()),
            (([1, 2],), b"[[1, 2]]"),
        ],
    )
    def test_one_text_or_binary_column_is_itself_and_the_rest_is_json(
        self, values: tuple[Any, ...], payload: bytes
    ) -> None:
        columns = tuple("abc"[: len(values)])

        assert row_payload(dict(zip(columns, values, strict=True)), spec_of("x", "jsonl", columns)) == payload

    @pytest.mark.parametrize(
        ("row", "error", "said"),
        [
            ({"b": 1, "c": 2}, DecodeError, "no value for 'a'; it has 'b', 'c'"),
            ({"a": None, "b": 1}, DecodeError, "no value for 'a'; it has 'a', 'b'"),
            ({}, DecodeError, "no value for 'a', 'b'; it has none"),
            ({"a": datetime(2026, 1, 1), "b": 1}, DecodeError, "datetime is not JSON"),  # noqa: DTZ001
            ({"a": Decimal(1), "b": 1}, DecodeError, "Decimal is not JSON"),
            ({"a": "\ud800", "b": 1}, DecodeError, "not valid UTF-8: surrogates not allowed"),
            (
                {"a": "x" * 100, "b": 1},
                RecordTooLargeError,
                r"has 107 bytes; source\.max_record_bytes allows 99",
            ),
        ],
    )
    def test_what_cannot_become_a_payload(
        self, row: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            row_payload(row, spec_of("x", "jsonl", max_record_bytes=99))

    def test_rows_nested_too_deep(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]

        with pytest.raises(DecodeError, match="cannot be represented: maximum recursion depth"):
            row_payload({"a": deep, "b": 1}, spec_of("x", "jsonl"))

    @pytest.mark.parametrize("value", ["", b""])
    def test_an_empty_column(self, value: Any) -> None:
        with pytest.raises(EmptyRecordError, match="The column 'a' is empty"):
            row_payload({"a": value}, spec_of("x", "jsonl", ("a",)))

    @given(
        st.lists(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | FIELDS, min_size=2, max_size=2)
    )
    def test_json_keeps_the_values(self, values: list[Any]) -> None:
        payload = row_payload(dict(zip("ab", values, strict=True)), spec_of("x", "jsonl"))

        assert json.loads(payload) == values
