from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from airflow_provider_aiopt.exceptions import ModelOutputError
from airflow_provider_aiopt.spec import ClassificationSpec
from airflow_provider_aiopt.stages.outputs.classification import ClassificationHead, best_first

LABELS = ("cat", "dog", "owl")
FEEDS = {"x": np.zeros((2, 1))}


def results(values: Any, labels: tuple[str, ...] | None = LABELS, **settings: Any) -> dict[str, Any]:
    head = ClassificationHead(ClassificationSpec(**settings), labels)
    columns = head.results(np.asarray(values, np.float32))
    return {name: column.to_pylist() for name, column in columns.items()}


def reduce(values: Any, labels: tuple[str, ...] | None = None, **settings: Any) -> np.ndarray:
    outputs = {"scores": values, "other": np.zeros((2, 4, 4))}
    return ClassificationHead(ClassificationSpec(**settings), labels).reduce(outputs, FEEDS)


def test_the_best_label_its_score_and_the_next_best() -> None:
    made = results([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]], activation="none", top_k=2)

    assert made["label"] == ["dog", "cat"]
    assert made["score"] == pytest.approx([0.7, 0.5])
    assert [[item["label"] for item in row] for row in made["top_k"]] == [["dog", "cat"], ["cat", "owl"]]
    assert [item["score"] for item in made["top_k"][0]] == pytest.approx([0.7, 0.2])


def test_softmax_is_that_of_the_textbook() -> None:
    logits = np.array([[1.0, 2.0, 3.0]])
    expected = np.exp(logits) / np.exp(logits).sum()
    (row,) = results(logits)["top_k"]
    assert [item["score"] for item in row] == pytest.approx(expected[0, ::-1], rel=1e-6)


def test_sigmoid_takes_each_class_apart() -> None:
    (row,) = results([[0.0, -2.0, 2.0]], activation="sigmoid")["top_k"]
    expected = 1 / (1 + np.exp(-np.array([2.0, 0.0, -2.0])))
    assert [item["score"] for item in row] == pytest.approx(expected, rel=1e-6)


def test_huge_logits_do_not_overflow() -> None:
    made = results([[3e38, -3e38, 0.0]])
    assert (made["label"], made["score"]) == (["cat"], [1.0])
    assert results([[-800.0, 800.0, 0.0]], activation="sigmoid")["score"] == [1.0]


def test_among_equal_scores_the_lower_index_comes_first() -> None:
    (row,) = results([[1.0, 1.0, 1.0]])["top_k"]
    assert [item["label"] for item in row] == list(LABELS)


def test_no_more_labels_than_classes() -> None:
    assert [len(row) for row in results([[1.0, 2.0, 3.0]], top_k=50)["top_k"]] == [3]


def test_without_labels_a_label_is_the_index() -> None:
    assert results([[0.0, 9.0, 1.0]], labels=None)["label"] == ["1"]


def test_no_rows_keep_their_types() -> None:
    columns = ClassificationHead(ClassificationSpec(), LABELS).results(np.empty((0, 3), np.float32))
    assert [len(column) for column in columns.values()] == [0, 0, 0]
    assert columns["label"].type == pa.string()


@given(
    npst.arrays(
        np.float64,
        st.tuples(st.integers(0, 6), st.integers(1, 40)),
        # Few values, so that many are equal, beside all that floating-point numbers can be.
        elements=st.sampled_from([-1.0, -0.0, 0.0, 0.25, 1.0]) | st.floats(),
    ),
    st.data(),
)
def test_the_best_are_those_that_a_full_stable_sort_puts_first(
    scores: np.ndarray, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, scores.shape[1]))

    np.testing.assert_array_equal(
        best_first(scores, count), np.argsort(-scores, axis=1, kind="stable")[:, :count]
    )


@given(
    npst.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.integers(-400, 400).map(lambda n: n / 8),
    )
)
def test_scores_are_probabilities_best_first(logits: np.ndarray) -> None:
    made = results(logits, labels=None, top_k=logits.shape[1])
    for row, values, label in zip(made["top_k"], logits, made["label"], strict=True):
        scores = [item["score"] for item in row]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert values[int(label)] == values.max()
        assert label == row[0]["label"]


def test_the_output_may_be_named() -> None:
    with pytest.raises(ModelOutputError, match=r"\[batch, classes\]; the model answered \[2, 4, 4\]"):
        reduce(np.zeros((2, 3)), output="other")
    with pytest.raises(ModelOutputError, match="output is 'none', but the model's outputs are scores, other"):
        reduce(np.zeros((2, 3)), output="none")


def test_the_first_output_is_the_default_and_becomes_float32() -> None:
    made = reduce(np.ones((2, 3), np.float64))
    assert made.dtype == np.float32
    assert made.shape == (2, 3)


@pytest.mark.parametrize("shape", [(), (3,), (1, 3)])
def test_a_first_axis_that_is_not_the_batch(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelOutputError, match="for a batch of 2: its first axis is not the batch"):
        reduce(np.zeros(shape))


def test_labels_that_belong_to_another_model() -> None:
    with pytest.raises(ModelOutputError, match="answers 4 classes, but its labels name 3"):
        reduce(np.zeros((2, 4)), labels=LABELS)


@pytest.mark.parametrize(
    "output", [np.array(["cat", "dog"], object), [{"cat": 0.5}, {"cat": 0.1}]], ids=["strings", "mappings"]
)
def test_an_output_that_is_no_numbers_is_refused(output: Any) -> None:
    with pytest.raises(ModelOutputError, match=r"'scores' is not made of numbers.*scores, other"):
        reduce(output)
