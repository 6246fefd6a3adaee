from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.data.cache.local import LocalCache

Open = Callable[..., LocalCache]


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.rows"))


def test_what_was_put_is_found_in_any_order_and_company(open_cache: Open, rows: Any) -> None:
    cache = open_cache(max_bytes=10**6)
    rows.put(cache, 1, 2, 3)
    rows.put(cache, 4, 5)
    cache.close()
    later = open_cache(max_bytes=10**6)

    assert rows.get(later, 5, 9, 2, 2, 3, 4, 1) == {1, 2, 3, 4, 5}
    assert rows.get(later, 3) == {3}
    assert rows.get(later, 9) == set()


def test_a_batch_that_was_put_together_is_not_copied(open_cache: Open, rows: Any) -> None:
    cache = open_cache(max_bytes=10**6)
    rows.put(cache, 1, 2, 3)
    cache.close()
    first, second = (cache.get(rows.keys([1, 2, 3])).rows.column(0).storage.flatten() for _ in range(2))

    assert first.buffers()[1].address == second.buffers()[1].address


def test_another_task_sees_what_was_put_meanwhile(open_cache: Open, rows: Any) -> None:
    one, other = open_cache(), open_cache()
    assert rows.get(other, 1) == set()
    rows.put(one, 1)

    assert rows.get(other, 1) == {1}


def test_kinds_are_kept_apart_and_share_the_room(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    one, other = open_cache("one"), open_cache("other")
    rows.put(one, 1)

    assert rows.get(other, 1) == set()
    for number in range(2, 6):
        rows.put(other, number)
    assert rows.get(open_cache("one"), 1) == set()
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 5000


def test_small_rows_share_a_file(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    cache = open_cache(max_bytes=4096 * 3000)
    for number in range(10):
        rows.put(cache, number)
    assert len(files(tmp_path)) == 2  # of four rows each
    cache.close()

    assert len(files(tmp_path)) == 3
    assert rows.get(open_cache(), *range(10)) == set(range(10))


def test_the_least_recently_used_go_first(open_cache: Open, rows: Any) -> None:
    cache = open_cache()
    for number in (1, 2, 3):
        rows.put(cache, number)
    assert rows.get(open_cache(), 1) == {1}  # used, by another task
    rows.put(cache, 4)
    rows.put(cache, 5)

    assert rows.get(open_cache(), 1, 2, 3, 4, 5) == {1, 4, 5}


def test_the_size_is_never_exceeded(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    cache = open_cache(max_bytes=20_000)
    for number in range(100):
        rows.put(cache, *range(number, number + 1 + number % 5))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 20_000
    assert sum(path.stat().st_size for path in files(tmp_path)) > 10_000


def test_what_is_larger_than_the_cache_is_left_out(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    cache = open_cache()
    rows.put(cache, *range(10))

    assert not files(tmp_path)
    assert rows.get(cache, 1) == set()


def test_a_file_that_was_removed_meanwhile_is_a_miss(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    cache = open_cache()
    rows.put(cache, 1)
    rows.put(cache, 2)
    files(tmp_path)[0].unlink()
    left = rows.get(cache, 1, 2)

    assert len(left) == 1
    rows.put(cache, *({1, 2} - left))
    assert rows.get(cache, 1, 2) == {1, 2}


def test_rows_in_use_outlive_their_file(open_cache: Open, rows: Any, tmp_path: Path) -> None:
    cache = open_cache()
    rows.put(cache, 1, 2)
    hits = cache.get(rows.keys([1, 2]))
    for path in files(tmp_path):
        path.unlink()

    assert rows.found(hits, [1, 2]) == {1, 2}


@pytest.mark.parametrize("known", [True, False], ids=["in the index", "found later"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"junk" * 100,
        lambda content: content[:-8],
        lambda content: content[:50],
        lambda content: content[:500] + bytes(300) + content[800:],
        lambda content: content[:40] + b"?" + content[41:],  # in a key
    ],
)
def test_damaged_files_are_misses_and_replaced(
    open_cache: Open,
    rows: Any,
    tmp_path: Path,
    *,
    caplog: pytest.LogCaptureFixture,
    known: bool,
    damage: Callable[[bytes], bytes],
) -> None:
    cache = open_cache()
    rows.put(cache, 1, 2)
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    cache = cache if known else open_cache()

    assert rows.get(cache, 1, 2) == set()
    assert not path.exists()
    assert "are damaged and removed" in caplog.text
    rows.put(cache, 1, 2)
    assert rows.get(open_cache(), 1, 2) == {1, 2}
