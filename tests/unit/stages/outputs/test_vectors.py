from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.exceptions import ModelOutputError
from airflow_provider_aiopt.spec import EmbeddingSpec, RawOutputSpec
from airflow_provider_aiopt.stages.outputs.vectors import EmbeddingHead, RawHead


def pool(tokens: np.ndarray, mask: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    feeds = {"input_ids": np.zeros(tokens.shape[:2])} | ({} if mask is None else {"attention_mask": mask})
    return EmbeddingHead(EmbeddingSpec(**settings)).reduce({"tokens": tokens}, feeds)


def embedding(vectors: np.ndarray, **settings: Any) -> np.ndarray:
    return np.array(EmbeddingHead(EmbeddingSpec(**settings)).results(vectors)["embedding"].to_pylist())


@given(batch=st.integers(1, 5), length=st.integers(1, 7), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_mean_pooling_is_the_mean_over_the_tokens_that_are_not_padding(
    batch: int, length: int, width: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    tokens = random.normal(size=(batch, length, width)).astype(np.float32)
    lengths = random.integers(1, length + 1, batch)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)

    made = pool(tokens, mask)

    expected = np.stack([row[:count].mean(axis=0) for row, count in zip(tokens, lengths, strict=True)])
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


def test_a_text_without_any_token_is_a_vector_of_zeros() -> None:
    assert pool(np.ones((1, 3, 2), np.float32), np.zeros((1, 3))).tolist() == [[0, 0]]


def test_cls_pooling_takes_the_first_token() -> None:
    tokens = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    assert pool(tokens, pooling="cls").tolist() == [[0, 1], [6, 7]]


def test_without_pooling_the_model_answers_vectors() -> None:
    vectors = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(pool(vectors, pooling="none"), vectors)


@pytest.mark.parametrize(("pooling", "shape"), [("none", (2, 3, 4)), ("mean", (2, 4)), ("cls", (2, 4))])
def test_a_shape_that_does_not_fit_the_pooling(pooling: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelOutputError, match="needs an output of shape"):
        pool(np.zeros(shape, np.float32), np.ones(shape[:2]), pooling=pooling)


def test_mean_pooling_needs_a_mask() -> None:
    with pytest.raises(ModelOutputError, match=r"needs an attention mask.*'text'"):
        pool(np.zeros((1, 2, 2), np.float32))


def test_vectors_get_the_length_one_and_zeros_stay() -> None:
    made = embedding(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(made, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_vectors_may_keep_their_length() -> None:
    assert embedding(np.array([[3, 4]], np.float32), normalize=False).tolist() == [[3, 4]]


def test_raw_outputs_are_flattened() -> None:
    head = RawHead(RawOutputSpec())
    reduced = head.reduce({"y": np.arange(12).reshape(2, 3, 2)}, {"x": np.zeros((2, 1))})
    assert head.results(reduced)["output"].to_pylist() == [list(range(6)), list(range(6, 12))]


def test_a_scalar_per_record_becomes_a_vector_of_one() -> None:
    assert RawHead(RawOutputSpec()).reduce({"y": np.array([1, 2])}, {"x": np.zeros((2, 1))}).tolist() == [
        [1],
        [2],
    ]
