from __future__ import annotations

import itertools

from airflow_provider_aiopt.uploads.settling import Settling, Sighting


def sighting(version: str = "1", size: int = 5, name: str = "a") -> Sighting:
    return Sighting(name, size, version, f"{name}{version}")


def settling(settle_s: float | None = None, min_age_s: float = 0.0) -> Settling:
    return Settling(settle_s=settle_s, default_s=1.0, min_age_s=min_age_s)


def ready(it: Settling, seen: Sighting, now: float, *, closed: bool | None = None) -> bool:
    return it.see(seen, closed=closed, now=now, wall=0.0) is not None


def test_what_nobody_writes_is_ready_at_once() -> None:
    assert ready(settling(), sighting(), 0, closed=True)


def test_what_somebody_writes_is_never_ready() -> None:
    it = settling()
    assert not any(ready(it, sighting(), now, closed=False) for now in range(100))
    assert ready(it, sighting(), 100, closed=True)


def test_where_nobody_can_tell_it_must_not_change() -> None:
    it = settling()
    assert not ready(it, sighting("1"), 0)
    assert not ready(it, sighting("2"), 0.9)
    assert not ready(it, sighting("2"), 1.8)
    assert ready(it, sighting("2"), 1.9)


def test_an_empty_file_is_waited_for() -> None:
    it = settling()
    assert not ready(it, sighting(size=0), 0, closed=True)
    assert ready(it, sighting("2"), 0.1, closed=True)


def test_a_file_written_in_pieces_is_trusted_once() -> None:
    it = settling()
    assert ready(it, sighting("1"), 0, closed=True)
    assert not ready(it, sighting("2"), 1, closed=True)
    assert not ready(it, sighting("3"), 1.9, closed=True)
    assert ready(it, sighting("3"), 2.9, closed=True)
    assert ready(it, sighting("4"), 100, closed=True)


def test_a_demanded_time_is_kept_whatever_is_known() -> None:
    it = settling(settle_s=5)
    assert not ready(it, sighting(), 0, closed=True)
    assert not ready(it, sighting(), 4.9, closed=True)
    assert ready(it, sighting(), 5, closed=True)


def test_an_age_is_counted_from_the_first_sighting_of_the_version() -> None:
    it = settling(settle_s=0, min_age_s=10)
    assert not ready(it, sighting("1"), 0)
    assert not ready(it, sighting("2"), 9)
    assert not ready(it, sighting("2"), 18)
    assert ready(it, sighting("2"), 19)


def test_files_that_are_written_are_looked_at_ever_less_often() -> None:
    it = settling()
    looks, now = [], 0.0
    ready(it, sighting(), now, closed=False)
    while now < 5:
        due = it.next_look()
        assert due is not None
        now = due
        looks.append(now)
        assert it.due(now) == ["a"]
        ready(it, sighting(), now, closed=False)
    assert looks[0] == 0.05
    assert max(later - earlier for earlier, later in itertools.pairwise(looks)) <= 0.51


def test_what_is_gone_is_forgotten() -> None:
    it = settling()
    ready(it, sighting(name="a"), 0)
    ready(it, sighting(name="b"), 1)
    it.forget_unseen(0.5)
    assert [len(it), "b" in it] == [1, True]
    it.forget("b")
    it.forget("b")
    assert it.next_look() is None
