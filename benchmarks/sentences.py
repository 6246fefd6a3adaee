"""English sentences for text models: those of the language reference that every Python carries."""

from __future__ import annotations

import re
from pydoc_data.topics import topics

_LEAST_WORDS, _MOST_WORDS = 6, 60
_PROSE = re.compile(r"[A-Z][A-Za-z0-9 ,;:'()%\-/]+[.?!]")


def sentences(count: int) -> list[str]:
    """Return *count* different sentences, the same for one version of Python.

    :raises SystemExit: if the reference has fewer
    """
    found: dict[str, None] = {}
    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            found.update(dict.fromkeys(split_sentences(paragraph)))
    if len(found) < count:
        raise SystemExit(f"Python's language reference has {len(found)} sentences, {count} are needed")
    # Neighbours speak of the same: they are taken from all over.
    every, step = list(found), len(found) / count
    return [every[int(number * step)] for number in range(count)]


def split_sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph that are prose: no code, no grammar, no markup."""
    parts = re.split(r"(?<=[.?!])\s+(?=[A-Z])", " ".join(paragraph.split()))
    return [
        part for part in parts if _PROSE.fullmatch(part) and _LEAST_WORDS <= len(part.split()) <= _MOST_WORDS
    ]
