"""Comparing an optimised model's answers with the original's, and the gate that it has to pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.spec.card import Task

if TYPE_CHECKING:
    import numpy as np

    from airflow_provider_aiopt.optimize.samples import Samples

    Array = np.ndarray[Any, Any]

CONFIDENT = 0.5
"""Score from which on the original counts as sure of its class."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How far an optimised model's answers are from the original's.

    An error is the largest difference between the two models' scores for one record.

    :param n: records compared
    :param agreement: share of the records on which both put the same class, or the same nearest neighbour,
        first
    :param confident_agreement: the same over the records whose class the original scores at
        :data:`CONFIDENT` or more, 1 where there are none; over all records for other tasks
    :param max_score_error: largest error
    :param mean_score_error: mean error
    """

    n: int
    agreement: float
    confident_agreement: float
    max_score_error: float
    mean_score_error: float


@dataclass(frozen=True, slots=True)
class AccuracyGate:
    """The largest differences that an optimised model may show.

    :param max_disagreement: share of the records with another first class or nearest neighbour, 0 to 1
    :param max_score_error: largest error of any record
    :param max_mean_score_error: mean error
    """

    max_disagreement: float = 0.05
    max_score_error: float = 0.25
    max_mean_score_error: float = 0.03

    def check(self, evaluation: Evaluation, name: str) -> None:
        """Refuse a model that differs by more.

        :param evaluation: the measured figures
        :param name: the model, for the message
        :raises ModelAccuracyError: naming each limit that is passed
        """
        measured = (
            ("--max-disagreement", round(1 - evaluation.agreement, 9), self.max_disagreement),
            ("--max-score-error", evaluation.max_score_error, self.max_score_error),
            ("--max-mean-score-error", evaluation.mean_score_error, self.max_mean_score_error),
        )
        # A NaN is not below any limit.
        faults = [
            f"{flag}: {value:.4f}, allowed {limit}" for flag, value, limit in measured if not value <= limit
        ]
        if faults:
            raise ModelAccuracyError(
                f"The quantised {name} differs too much from the original on {evaluation.n} records. "
                f"{'; '.join(faults)}. Nothing was written: give more calibration data that look like the "
                "real ones, or raise the limit if the difference is acceptable"
            )


def compare(original: Array, optimised: Array, samples: Samples, task: Task) -> Evaluation:
    """Compare two models' first outputs on the same records.

    :param original: the original's output, the first axis being the records
    :param optimised: the optimised model's output, of the same shape
    :param samples: the records
    :param task: what the models answer
    """
    return compare_scores(_scores(original, samples, task), _scores(optimised, samples, task), task)


def compare_scores(scores: Array, other: Array, task: Task) -> Evaluation:
    """Compare two sets of scores of the same records.

    :param scores: the reference: a row for each record, probabilities of classes or vectors of length 1
    :param other: what is compared with it, of the same shape
    :param task: what the scores are of; those of ``text-embedding`` are compared by nearest neighbour
    """
    import numpy as np

    first, other_first = (_first_choice(values, task) for values in (scores, other))
    same = first == other_first
    sure = scores.max(axis=1) >= CONFIDENT if task == "image-classification" else np.ones(len(same), bool)
    errors = np.abs(scores - other).max(axis=1)
    return Evaluation(
        n=len(same),
        agreement=float(same.mean()),
        confident_agreement=float(same[sure].mean()) if sure.any() else 1.0,
        max_score_error=float(errors.max()),
        mean_score_error=float(errors.mean()),
    )


def _scores(output: Array, samples: Samples, task: Task) -> Array:
    """Return one row of scores per record: probabilities of classes, or a vector of length 1."""
    if task == "image-classification":
        return softmax(output)
    if task == "text-embedding":
        mask = samples.feeds["attention_mask"][:, :, None]
        pooled = (output * mask).sum(axis=1) / mask.sum(axis=1)
        return unit_vectors(pooled)
    return output.reshape(len(output), -1)


def softmax(output: Array) -> Array:
    """Return one row of probabilities per record."""
    import numpy as np

    shifted = np.exp(output - output.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def unit_vectors(vectors: Array) -> Array:
    """Return the vectors, one per record, at length 1."""
    import numpy as np

    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _first_choice(scores: Array, task: Task) -> Array:
    import numpy as np

    if task != "text-embedding":
        return np.asarray(scores.argmax(axis=1))
    similarity = scores @ scores.T
    np.fill_diagonal(similarity, -np.inf)  # a text is not its own neighbour
    return np.asarray(similarity.argmax(axis=1))
