from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.compare.models import Settings
from airflow_provider_aiopt.compare.planning import (
    least_rounds,
    next_rounds,
    rounds_to_end,
    rounds_to_find,
    run_order,
)
from airflow_provider_aiopt.compare.statistics import Samples, ratio

SETTINGS = Settings()


def samples(noise: float, *, factor: float = 1.0, rounds: int = 16) -> Samples:
    chooser = random.Random(2)
    pairs = [
        [math.exp(chooser.gauss(0, noise)), factor * math.exp(chooser.gauss(0, noise))] for _ in range(rounds)
    ]
    baseline, variant = zip(*pairs, strict=True)
    return Samples(baseline, variant, True)


def to_find(of: Samples, settings: Settings = SETTINGS, variants: int = 1) -> int | None:
    return rounds_to_find(of, ratio(of, confidence=0.95, seed=0), settings, variants)


def to_end(of: Samples) -> int | None:
    return rounds_to_end(of, ratio(of, confidence=0.95, seed=0), SETTINGS)


class TestOrder:
    @given(st.integers(1, 40), st.integers(0, 9))
    def test_each_round_has_each_once_and_every_second_is_the_reverse(self, rounds: int, seed: int) -> None:
        orders = run_order(["a", "b", "c"], rounds, seed=seed)
        assert len(orders) == rounds
        assert {tuple(sorted(order)) for order in orders} == {("a", "b", "c")}
        for first, second in zip(orders[::2], orders[1::2], strict=False):
            assert first == second[::-1]

    def test_no_pipeline_keeps_a_place(self) -> None:
        first = Counter(order[0] for order in run_order(["a", "b"], 200, seed=0)[::2])
        assert 30 < first["a"] < 70

    def test_the_same_seed_gives_the_same_order(self) -> None:
        assert run_order(["a", "b"], 20, seed=5) == run_order(["a", "b"], 20, seed=5)


class TestRounds:
    @pytest.mark.parametrize(("variants", "least"), [(1, 6), (2, 7), (4, 8)])
    def test_fewer_cannot_tell_anything(self, variants: int, least: int) -> None:
        assert least_rounds(SETTINGS, variants) == least
        assert 2 / 2**least <= SETTINGS.alpha / variants < 2 / 2 ** (least - 1)

    def test_quiet_runs_need_the_least(self) -> None:
        assert to_find(samples(0.001)) == least_rounds(SETTINGS)
        assert to_find(Samples((1.0, 1.0), (1.0, 1.0), True)) == least_rounds(SETTINGS)

    def test_noise_effect_power_and_variants_ask_for_more(self) -> None:
        base = to_find(samples(0.1))
        assert base is not None
        for of, settings, variants in (
            (samples(0.15), SETTINGS, 1),
            (samples(0.1), Settings(effect=0.07), 1),
            (samples(0.1), Settings(power=0.95), 1),
            (samples(0.1), SETTINGS, 5),
        ):
            more = to_find(of, settings, variants)
            assert more is not None
            assert more > base

    def test_which_is_faster_does_not_matter(self) -> None:
        assert len({to_find(samples(0.1, factor=factor)) for factor in (0.5, 1.0, 2.0)}) == 1

    def test_too_much_noise_needs_more_than_makes_sense(self) -> None:
        assert to_find(samples(5.0)) is None

    def test_an_inconclusive_comparison_needs_more_than_it_had(self) -> None:
        for factor in (1.0, 1.02, 1.08, 1.2):
            needed = to_end(samples(0.05, factor=factor))
            assert needed is not None
            assert needed > 16

    def test_what_is_all_but_the_threshold_is_not_told(self) -> None:
        of = samples(0.05)
        at_threshold = 1.05 / ratio(of, confidence=0.95, seed=0).ratio
        assert to_end(samples(0.05, factor=at_threshold)) is None

    @pytest.mark.parametrize(
        ("done", "needed", "most", "rounds"),
        [
            (8, 6, 50, 8),
            (8, 12, 50, 12),
            (8, 40, 50, 16),
            (40, 90, 50, 50),
            (8, None, 50, 16),
            (60, 90, 50, 60),
        ],
    )
    def test_a_comparison_goes_on_by_doubling_at_most(
        self, done: int, needed: int | None, most: int, rounds: int
    ) -> None:
        assert next_rounds(done, needed, most) == rounds


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 0.2}, {"effect": 1.5}, {"alpha": 0.0}, {"power": 1.0}]
)
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(
        ValueError, match=f"{next(iter(wrong))} is|{next(iter(wrong))} {next(iter(wrong.values())):g}"
    ):
        Settings(**wrong)
