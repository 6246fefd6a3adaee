from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.records import BadRecord, Record, printable
from airflow_provider_aiopt.exceptions import DecodeError


def test_a_record_knows_its_hash() -> None:
    assert Record.from_payload("a", "file:///a", b"x").sha256 == hashlib.sha256(b"x").hexdigest()


def test_a_bad_record_says_why() -> None:
    bad = BadRecord.from_error("a", "file:///a", "preprocess", DecodeError("no image"))

    assert bad == BadRecord("a", "file:///a", "preprocess", "DecodeError", "no image")


@pytest.mark.parametrize(("length", "kept"), [(500, 500), (501, 500), (10_000, 500)])
def test_long_messages_are_cut(length: int, kept: int) -> None:
    message = BadRecord.from_error("a", "u", "ingest", DecodeError("x" * length)).message

    assert len(message) == kept
    assert message.endswith("..." if length > kept else "x")


@given(st.text())
def test_what_is_printable_can_be_stored(text: str) -> None:
    assert printable(text).encode().decode() == printable(text)
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert printable(text) == text
