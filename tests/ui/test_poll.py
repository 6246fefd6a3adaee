"""How often the pages ask while something goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from components import requires

if TYPE_CHECKING:
    from playwright.sync_api import Page

requires("playwright", "pip install playwright")


@pytest.mark.parametrize(
    ("pause", "outcome", "shortest", "expected"),
    [
        (9000, "changed", 2000, 2000),
        (2000, "same", 2000, 3000),
        (9000, "same", 2000, 10_000),
        (10_000, "same", 10_000, 10_000),
        (30_000, "same", 2000, 10_000),
        (2000, "failed", 2000, 4000),
        (45_000, "failed", 2000, 60_000),
    ],
)
def test_the_pause_follows_what_happened(
    watched, pause: int, outcome: str, shortest: int, expected: int
) -> None:
    page = watched.open("overview.html")
    script = "async values => (await import('./js/poll.js')).nextPause(...values)"
    assert page.evaluate(script, [pause, outcome, shortest]) == expected


def pauses(page: Page, answers: list[Any]) -> list[float]:
    """Poll until *answers* are used up, on a clock of the test's own; returns the pauses in between.

    :param answers: what is answered turn by turn; an HTTP status stands for a server that fails with it
    """
    found: list[float] = page.evaluate(
        """async answers => {
          const { poll } = await import('./js/poll.js');
          const { ApiError } = await import('./js/api.js');
          const waited = [];
          const real = window.setTimeout;
          let turn = 0;
          const step = async () => {
            const answer = answers[turn++];
            if (typeof answer === 'number') throw new ApiError(answer);
            return { answer, more: turn < answers.length };
          };
          await new Promise(done => {
            window.setTimeout = (next, pause) => { waited.push(pause); queueMicrotask(next); };
            const last = async () => {
              try {
                return await step();
              } finally {
                if (turn === answers.length) done();
              }
            };
            poll(last, () => {});
          });
          await new Promise(done => real(done));
          window.setTimeout = real;
          return waited;
        }""",
        answers,
    )
    return found


def test_it_asks_less_often_while_nothing_happens(watched) -> None:
    page = watched.open("run.html")  # without a run's id it asks nothing itself
    quiet = [{"tasks": [1], "wall_s": second} for second in range(7)]
    assert pauses(page, [*quiet, {"tasks": [2], "wall_s": 8}, {"tasks": [2], "wall_s": 9}]) == [
        2000, 3000, 4500, 6750, 10_000, 10_000, 10_000, 2000,
    ]  # fmt: skip


def test_a_server_that_fails_is_spared_and_one_that_refuses_is_left_alone(watched) -> None:
    page = watched.open("run.html")
    assert pauses(page, [{"tasks": 1}, 503, 503, 503, {"tasks": 1}, {"tasks": 2}]) == [
        2000, 4000, 8000, 16_000, 10_000,
    ]  # fmt: skip
    assert pauses(page, [{"tasks": 1}, 403]) == [2000]
