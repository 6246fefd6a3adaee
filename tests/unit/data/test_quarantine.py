from __future__ import annotations

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.quarantine import read_quarantine, write_quarantine
from airflow_provider_aiopt.data.records import BadRecord


def bad(name: str) -> BadRecord:
    return BadRecord(name, f"file:///{name}", "ingest", "DecodeError", f"{name} is\nbad")


def test_bad_records_survive_in_the_order_of_their_shards(folder: Folder) -> None:
    write_quarantine(folder, "ingest", "00001", [bad("c")])
    write_quarantine(folder, "ingest", "00000", [bad("a"), bad("b")])
    write_quarantine(folder, "preprocess", "00000", [bad("d")])

    assert read_quarantine(folder) == [bad("a"), bad("b"), bad("c"), bad("d")]


def test_another_attempt_replaces_the_earlier_one(folder: Folder) -> None:
    write_quarantine(folder, "ingest", "00000", [bad("a"), bad("b")])
    write_quarantine(folder, "ingest", "00000", [bad("b")])

    assert read_quarantine(folder) == [bad("b")]


def test_no_bad_records_leave_no_file(folder: Folder) -> None:
    write_quarantine(folder, "ingest", "00000", [])
    assert folder.names() == []

    write_quarantine(folder, "ingest", "00000", [bad("a")])
    write_quarantine(folder, "ingest", "00000", [])
    assert folder.names() == []
    assert read_quarantine(folder) == []
