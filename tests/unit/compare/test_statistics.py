from __future__ import annotations

import itertools
import math
import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from airflow_provider_aiopt.compare.statistics import (
    Samples,
    holm,
    mann_whitney,
    rank_effect,
    rank_test,
    ratio,
)
from airflow_provider_aiopt.exceptions import ComparisonError, MissingExtraError

BASELINE = (1.00, 1.20, 0.95, 1.05, 1.10, 1.02, 0.98, 1.15)


def paired(factor: float, noise: float = 0.01) -> Samples:
    chooser = random.Random(1)
    return Samples(
        BASELINE, tuple(value * factor * math.exp(chooser.gauss(0, noise)) for value in BASELINE), True
    )


class TestSamples:
    @pytest.mark.parametrize(
        ("baseline", "variant", "is_paired", "message"),
        [
            ((1.0,), (1.0, 2.0), False, "1 runs of the baseline and 2 of the variant; .* at least 2 of each"),
            ((1.0, 2.0, 3.0), (1.0, 2.0), True, "paired by round only where there are as many"),
            ((1.0, 2.0), (0.0, 2.0), True, "positive, finite values; among these is 0"),
            ((1.0, 2.0), (math.nan, 2.0), True, "among these is nan"),
        ],
    )
    def test_what_cannot_be_compared(
        self, baseline: tuple[float, ...], variant: tuple[float, ...], is_paired: bool, message: str
    ) -> None:
        with pytest.raises(ComparisonError, match=message):
            Samples(baseline, variant, is_paired)


class TestRatio:
    @pytest.mark.parametrize("statistic", ["median", "p95"])
    @pytest.mark.parametrize("is_paired", [True, False])
    def test_the_interval_holds_the_factor(self, statistic: str, is_paired: bool) -> None:
        samples = Samples(BASELINE, paired(1.3).variant, is_paired)
        found = ratio(samples, statistic, confidence=0.95, seed=0)
        assert found.low <= found.ratio <= found.high
        assert found.low < 1.3 < found.high
        assert found.standard_error > 0

    def test_paired_it_is_the_median_of_the_rounds_ratios(self) -> None:
        samples = paired(1.3)
        found = ratio(samples, confidence=0.95, seed=0)
        assert found.ratio == pytest.approx(np.median(np.divide(samples.variant, samples.baseline)), rel=1e-4)

    def test_unpaired_it_is_the_ratio_of_the_medians(self) -> None:
        samples = Samples(BASELINE, (2.0, 3.0, 2.5), False)
        found = ratio(samples, confidence=0.95, seed=0)
        assert found.ratio == pytest.approx(2.5 / math.exp(np.median(np.log(BASELINE))))

    def test_pairs_take_out_what_slows_a_whole_round(self) -> None:
        load = [2.0**number for number in range(8)]
        together = paired(1.3)
        slowed = Samples(
            tuple(value * of for value, of in zip(together.baseline, load, strict=True)),
            tuple(value * of for value, of in zip(together.variant, load, strict=True)),
            True,
        )
        assert ratio(slowed, confidence=0.95, seed=0).high == pytest.approx(
            ratio(together, confidence=0.95, seed=0).high
        )
        assert rank_test(slowed) == pytest.approx(rank_test(together))

    def test_the_same_seed_gives_the_same_answer(self) -> None:
        assert ratio(paired(1.1), confidence=0.9, seed=3) == ratio(paired(1.1), confidence=0.9, seed=3)

    def test_more_confidence_is_a_wider_interval(self) -> None:
        narrow, wide = (ratio(paired(1.1, 0.1), confidence=share, seed=0) for share in (0.8, 0.99))
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_what_does_not_vary_has_an_interval_of_no_width(self) -> None:
        found = ratio(Samples((1.0, 1.0), (2.0, 2.0), True), confidence=0.95, seed=0)
        assert (found.low, found.ratio, found.high, found.standard_error) == pytest.approx((2, 2, 2, 0))

    def test_without_scipy_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "scipy", None)
        with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[compare\]"):
            ratio(paired(1.1), confidence=0.95, seed=0)


class TestRankTest:
    def test_paired_it_is_exact(self) -> None:
        """All eight rounds in one direction: two of 256 assignments of signs are as extreme."""
        assert rank_test(paired(1.3)) == pytest.approx(2 / 256)

    def test_it_counts_the_pairs_that_mann_and_whitney_would_count_within_rounds(self) -> None:
        """With each round's level taken out, U = 2 W - (positive rounds), as the docstring says."""
        samples = paired(1.0, 0.1)
        half = (np.log(samples.variant) - np.log(samples.baseline)) / 2
        u = stats.mannwhitneyu(half, -half).statistic
        signed = stats.wilcoxon(half, alternative="greater").statistic
        assert u == 2 * signed - (half > 0).sum()

    def test_unpaired_it_is_mann_and_whitneys(self) -> None:
        samples = Samples((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), False)
        assert rank_test(samples) == mann_whitney(samples) == pytest.approx(2 / math.comb(6, 3))

    def test_no_difference_at_all(self) -> None:
        assert rank_test(Samples(BASELINE, BASELINE, True)) == 1

    def test_its_distribution_is_that_of_labels_swapped_within_rounds(self) -> None:
        """Of all assignments at most 5 % have a p-value of 0.05 or less, whatever the rounds are like."""
        rounds = [(1.0, 1.3), (5.0, 5.2), (0.2, 0.21), (9.0, 17.0), (1.0, 1.01), (2.0, 2.9)]
        false = 0
        for swaps in itertools.product([False, True], repeat=len(rounds)):
            pairs = [pair[::-1] if swap else pair for pair, swap in zip(rounds, swaps, strict=True)]
            baseline, variant = zip(*pairs, strict=True)
            false += rank_test(Samples(baseline, variant, True)) <= 0.05
        assert 0 < false <= 0.05 * 2 ** len(rounds)


class TestRankEffect:
    def test_it_does_not_see_which_is_faster(self) -> None:
        effects = [rank_effect(paired(factor), 0.01) for factor in (0.5, 1.0, 2.0)]
        assert effects[0].share == pytest.approx(effects[1].share) == pytest.approx(effects[2].share)

    @pytest.mark.parametrize("is_paired", [True, False])
    def test_a_larger_distance_is_seen_in_more_pairs(self, is_paired: bool) -> None:
        samples = Samples(BASELINE, paired(1.0, 0.1).variant, is_paired)
        shares = [rank_effect(samples, distance).share for distance in (-2, -0.1, 0.1, 2)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0, 1)


class TestHolm:
    def test_an_example(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_it_lies_between_the_value_and_bonferronis_and_keeps_the_order(self, values: list[float]) -> None:
        adjusted = holm(values)
        for value, larger in zip(values, adjusted, strict=True):
            assert value <= larger <= min(1.0, value * len(values))
        assert [p for _, p in sorted(zip(values, adjusted, strict=True))] == sorted(adjusted)
