from __future__ import annotations

from typing import Any

import pytest

from benchmarks.celery import ALL, ONE, checks, results
from benchmarks.celery_stack import Outcome, busy_span, outcome, pinned_workers


@pytest.mark.parametrize(
    ("names", "found", "expected"),
    [
        ("abc", "abc", Outcome(0, 0)),
        ("abc", "ab", Outcome(1, 0)),
        ("abc", "abbc", Outcome(0, 1)),
        ("abc", "abbbx", Outcome(1, 3)),
        ("abc", "", Outcome(3, 0)),
    ],
)
def test_records_are_lost_or_there_too_often(names: str, found: str, expected: Outcome) -> None:
    assert outcome(names, found) == expected


def test_outcomes_add_up() -> None:
    assert Outcome(1, 2) + Outcome(3, 4) == Outcome(4, 6)


def task(index: int, start: int, end: int) -> dict[str, Any]:
    at = "2026-12-01T12:00:{:02d}+00:00"
    return {"map_index": index, "start_date": at.format(start), "end_date": at.format(end)}


def test_a_run_is_busy_from_its_first_shard_to_its_last() -> None:
    assert busy_span([task(-1, 0, 3), task(0, 4, 9), task(1, 5, 17), task(2, 9, 12)]) == 13.0


def answer(images_per_s: float, of_run: float) -> dict[str, Any]:
    return {"images_per_s": images_per_s, "run_images_per_s": of_run, "shards_by_worker": {"worker-1": 8}}


@pytest.mark.parametrize(("both", "met"), [((180, 190, 240), True), ((150, 170, 200), False)])
def test_the_ratio_is_taken_within_each_round(both: tuple[int, ...], met: bool) -> None:
    one = (100.0, 100.0, 120.0)
    answers = {
        ONE: [answer(value, value / 2) for value in one],
        ALL: [answer(value, value / 4) for value in both],
    }
    figures = results(answers)
    ratios = [two / single for two, single in zip(both, one, strict=True)]
    assert figures["ratio_images_per_s"]["values"] == ratios
    assert figures["ratio_run_images_per_s"]["values"] == [value / 2 for value in ratios]
    (check,) = checks(figures)
    assert (check.target, check.met) == (1.8, met)


def test_each_worker_has_a_core_and_the_first_a_queue_of_its_own() -> None:
    first, second = pinned_workers(2, (4, 7))
    assert (first.cores, first.queues) == ((4,), "default,one")
    assert (second.cores, second.queues) == ((7,), "default")
    with pytest.raises(SystemExit, match="2 workers need a core each; this process may use 1"):
        pinned_workers(2, (0,))
