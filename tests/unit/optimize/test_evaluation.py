from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation, compare
from airflow_provider_aiopt.optimize.samples import Samples

IMAGES = Samples({"image": np.zeros((4, 1))}, "four")


def test_equal_outputs_agree_fully() -> None:
    logits = np.eye(4) * 9
    assert compare(logits, logits, IMAGES, "image-classification") == Evaluation(4, 1.0, 1.0, 0.0, 0.0)


def test_classes_are_compared_by_probability() -> None:
    original = np.log([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    other = np.log([[0.8, 0.2], [0.4, 0.6], [0.4, 0.6], [0.1, 0.9]])
    result = compare(original, other, IMAGES, "image-classification")
    assert result.agreement == 0.75
    assert result.max_score_error == pytest.approx(0.2)
    assert result.mean_score_error == pytest.approx(0.075)


def test_a_class_counts_as_sure_from_a_half_on() -> None:
    original = np.log([[0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
    other = np.log([[0.3, 0.4, 0.3], [0.9, 0.05, 0.05]])
    samples = Samples({"image": np.zeros((2, 1))}, "two")
    result = compare(original, other, samples, "image-classification")
    assert (result.agreement, result.confident_agreement) == (0.5, 1.0)


def test_embeddings_are_pooled_over_the_mask_and_compared_by_nearest_neighbour() -> None:
    vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    tokens = np.stack([vectors, np.full_like(vectors, 1e6)], axis=1)  # the second token is padding
    samples = Samples({"attention_mask": np.array([[1, 0]] * 3)}, "three")
    turned = tokens.copy()
    turned[0, 0] = [0.1, 1.0]
    assert compare(tokens, tokens * 3, samples, "text-embedding").max_score_error == pytest.approx(0)
    assert compare(tokens, turned, samples, "text-embedding").agreement < 1


def test_other_outputs_are_compared_as_they_are() -> None:
    original = np.array([[1.0, 2.0], [3.0, 4.0]])
    result = compare(original, original + 0.5, Samples({"x": original}, "two"), "other")
    assert (result.agreement, result.max_score_error) == (1.0, 0.5)


def test_the_gate_lets_a_close_model_pass() -> None:
    AccuracyGate(0.95, 0.25, 0.03).check(Evaluation(20, 0.95, 1, 0.25, 0.03), "tiny")


@pytest.mark.parametrize(
    ("evaluation", "limit"),
    [
        (Evaluation(10, 0.9, 1, 0, 0), r"--min-agreement: 0.9000, needed 0.95"),
        (Evaluation(10, 1, 1, 0.3, 0), r"--max-score-error: 0.3000, allowed 0.25"),
        (Evaluation(10, 1, 1, 0, 0.04), r"--max-mean-score-error: 0.0400, allowed 0.03"),
        (Evaluation(10, 1, 1, 0, float("nan")), r"--max-mean-score-error: nan"),
        (Evaluation(10, float("nan"), 1, 0, 0), r"--min-agreement: nan"),
        (Evaluation(10, 1, 1, 0, 0, 0.9, 0.8), r"--max-accuracy-drop: 0.1000, allowed 0.02"),
    ],
)
def test_the_gate_names_the_limit_that_is_passed(evaluation: Evaluation, limit: str) -> None:
    with pytest.raises(ModelAccuracyError, match=limit) as caught:
        AccuracyGate(0.95, 0.25, 0.03).check(evaluation, "tiny")
    assert "Nothing was written" in str(caught.value)
