from __future__ import annotations

import tracemalloc
from array import array

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.uploads import known
from airflow_provider_aiopt.uploads.known import KnownVersions, packed

digests = st.lists(st.integers(0, 2**64 - 1), max_size=50)


@given(first=digests, second=digests, added=digests, asked=digests)
def test_it_is_a_set(first: list[int], second: list[int], added: list[int], asked: list[int]) -> None:
    it = KnownVersions([packed(first), packed(second)])
    for digest in added:
        it.add(digest)
    every = {*first, *second, *added}
    assert it.unknown(asked) == [place for place, digest in enumerate(asked) if digest not in every]
    assert all(digest in it for digest in every)
    for digest in [*first, *added]:
        it.discard(digest)
    assert all((digest in it) == (digest in set(second) - set(first) - set(added)) for digest in every)


def test_new_ones_are_folded_in(monkeypatch: object) -> None:
    it = KnownVersions()
    for digest in range(2 * known._RECENT + 5):
        it.add(digest)
    assert len(it) == 2 * known._RECENT + 5
    assert it.unknown([0, known._RECENT, 2 * known._RECENT + 5]) == [2]


def test_what_is_left_out_is_left_out() -> None:
    assert packed([3, 1, 2, 3], without=[2, 9]) == b"\0" * 7 + b"\1" + b"\0" * 7 + b"\3"


def test_a_million_fit_into_twenty_megabytes() -> None:
    content = packed(array("Q", range(1_000_000)))
    tracemalloc.start()
    it = KnownVersions([content])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(it) == 1_000_000
    assert held < 20_000_000
