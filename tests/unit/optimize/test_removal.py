from __future__ import annotations

import itertools

import numpy as np
import pytest

from airflow_provider_aiopt.optimize.removal import (
    ALIGNMENT,
    Reader,
    Removal,
    rebuilt,
    removal_order,
    share_out,
)


def _inputs(rows: int = 4000, channels: int = 6, block: int = 1) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=(rows, channels * block)) @ random.normal(size=(channels * block,) * 2)


def _reader(inputs: np.ndarray, block: int = 1, outputs: int = 4) -> Reader:
    weights = np.random.default_rng(1).normal(size=(outputs, inputs.shape[1]))
    return Reader(weights, inputs.T @ inputs / len(inputs), block)


def _loss(reader: Reader, inputs: np.ndarray, kept: list[int]) -> float:
    """What is lost of the outputs' variance, on the inputs themselves."""
    places = [channel * reader.block + step for channel in kept for step in range(reader.block)]
    wanted = inputs @ reader.weights.T
    left = inputs[:, places] @ rebuilt(reader, kept).T
    return float(((wanted - left) ** 2).sum() / (wanted**2).sum())


@pytest.mark.parametrize("block", [1, 4])
def test_the_first_to_go_is_the_one_whose_loss_is_least(block: int) -> None:
    inputs = _inputs(block=block)
    reader = _reader(inputs, block)
    losses = [_loss(reader, inputs, [other for other in range(6) if other != gone]) for gone in range(6)]
    removal = removal_order([reader], 6)
    assert losses[removal.order[0]] <= 1.05 * min(losses)
    assert removal.costs[0] == pytest.approx(min(losses), rel=0.3)


@pytest.mark.parametrize("block", [1, 4])
def test_the_order_is_near_the_best_of_all_pairs(block: int) -> None:
    inputs = _inputs(block=block)
    reader = _reader(inputs, block)
    best = min(_loss(reader, inputs, list(kept)) for kept in itertools.combinations(range(6), 4))
    gone = removal_order([reader], 6).order[:2]
    assert _loss(reader, inputs, [other for other in range(6) if other not in gone]) <= 1.5 * best


def test_a_channel_that_is_a_sum_of_others_goes_first_and_costs_nothing() -> None:
    inputs = np.random.default_rng(2).normal(size=(4000, 6))
    inputs[:, 3] = inputs[:, 0] - 2 * inputs[:, 5]
    reader = _reader(inputs)
    removal = removal_order([reader], 6)
    assert removal.order[0] in {0, 3, 5}
    assert removal.costs[0] < 0.02
    assert removal.costs[1] > 5 * removal.costs[0]


def test_all_layers_that_read_a_channel_have_a_say() -> None:
    inputs = np.random.default_rng(3).normal(size=(4000, 6))
    without = [np.ones((2, 6)), np.ones((2, 6))]
    without[0][:, 1] = 0  # the first does not need it, the second does
    without[0][:, 4] = without[1][:, 4] = 0
    moments = inputs.T @ inputs / len(inputs)
    assert removal_order([Reader(w, moments, 1) for w in without], 6).order[0] == 4


def test_costs_never_fall_and_some_channels_stay() -> None:
    removal = removal_order([_reader(_inputs())], 6)
    assert len(removal.order) == 5
    assert list(removal.costs) == sorted(removal.costs)


def test_the_groups_that_can_best_do_without_give_most() -> None:
    robust = Removal(tuple(range(28)), tuple(np.linspace(0.001, 0.01, 28)))
    fragile = Removal(tuple(range(28)), tuple(np.linspace(0.1, 0.9, 28)))
    kept = share_out({"robust": robust, "fragile": fragile}, {"robust": 32, "fragile": 32}, 0.25)
    assert kept["robust"] == tuple(range(16, 32))
    assert kept["fragile"] == tuple(range(32))


def test_what_stays_fits_the_vectors_of_the_kernels() -> None:
    removal = Removal(tuple(range(28)), tuple(np.linspace(0.001, 0.01, 28)))
    for amount in (0.05, 0.3, 0.9):
        assert len(share_out({"a": removal}, {"a": 32}, amount)["a"]) % ALIGNMENT == 0
    assert share_out({"a": removal}, {"a": 32}, 0.05)["a"] == tuple(range(32)), "two of 32 would not help"


def test_a_small_group_stays_whole() -> None:
    assert share_out({"a": Removal((0, 1), (0.0, 0.0))}, {"a": 3}, 0.5)["a"] == (0, 1, 2)
