from __future__ import annotations

from airflow_provider_aiopt.profiling.tables import text_table


def test_names_to_the_left_and_numbers_to_the_right() -> None:
    assert text_table(("call", "n"), [("read", "10"), ("fsync", "3")]) == (
        "call    n\n-----  --\nread   10\nfsync   3\n"
    )


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(("call", "n"), []) == "call  n\n----  -\n"
