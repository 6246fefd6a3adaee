from __future__ import annotations

import pytest

from benchmarks.sentences import sentences, split_sentences


def test_sentences_differ_and_are_always_the_same() -> None:
    found = sentences(480)
    assert len(set(found)) == 480
    assert found == sentences(480)
    assert all(sentence[0].isupper() and 6 <= len(sentence.split()) <= 60 for sentence in found)


def test_only_prose_is_taken() -> None:
    paragraph = "   if_stmt ::= x\n"
    assert split_sentences(paragraph) == []
    text = "A name refers to an object, always. Names like ``x`` are bound. It is then looked up\nin a scope."
    assert split_sentences(text) == [
        "A name refers to an object, always.",
        "It is then looked up in a scope.",
    ]


def test_more_than_there_are_is_said() -> None:
    with pytest.raises(SystemExit, match=r"has \d+ sentences, 1000000 are needed"):
        sentences(1_000_000)
