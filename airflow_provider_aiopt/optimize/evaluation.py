"""Comparing an optimised model's answers with the original's, and the gate that it has to pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.spec.card import Task

if TYPE_CHECKING:
    import numpy as np

    from airflow_provider_aiopt.optimize.samples import Samples

    Array = np.ndarray[Any, Any]

CONFIDENT = 0.5
"""Score from which on the original counts as sure of its class."""

DIGITS = 4
"""Decimals of the figures in cards and reports."""

_REMEDY = "give more calibration data that look like the real ones"


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
    :param original_accuracy: share of the labelled records that the original classifies as their labels say;
        None where there are no labels
    :param accuracy: the same of the optimised model
    """

    n: int
    agreement: float
    confident_agreement: float
    max_score_error: float
    mean_score_error: float
    original_accuracy: float | None = None
    accuracy: float | None = None

    def figures(self) -> dict[str, int | float]:
        """Return what was measured, by name, rounded to four digits."""
        return {name: round(value, DIGITS) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class AccuracyGate:
    """How far an optimised model may be from the original.

    :param min_agreement: share of the records that must have the same first class or nearest neighbour
    :param max_score_error: largest error of any record
    :param max_mean_score_error: mean error
    :param max_accuracy_drop: by how much the accuracy may fall, where the data have labels
    """

    min_agreement: float = 0.95
    max_score_error: float = 0.25
    max_mean_score_error: float = 0.03
    max_accuracy_drop: float = 0.02

    def faults(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Name each limit that is passed, with what was measured and what is allowed; none: it passes.

        :param evaluation: the measured figures
        """
        errors = [
            ("--max-score-error", evaluation.max_score_error, self.max_score_error),
            ("--max-mean-score-error", evaluation.mean_score_error, self.max_mean_score_error),
        ]
        if evaluation.accuracy is not None and evaluation.original_accuracy is not None:
            # Shares of few records differ by what binary fractions cannot hold.
            drop = round(evaluation.original_accuracy - evaluation.accuracy, 9)
            errors.append(("--max-accuracy-drop", drop, self.max_accuracy_drop))
        found = []
        # A NaN is neither above a limit nor below it.
        if not evaluation.agreement >= self.min_agreement:
            found.append(f"--min-agreement: {evaluation.agreement:.4f}, needed {self.min_agreement}")
        found += [
            f"{flag}: {value:.4f}, allowed {limit}" for flag, value, limit in errors if not value <= limit
        ]
        return tuple(found)

    def check(self, evaluation: Evaluation, name: str, *, remedy: str = _REMEDY) -> None:
        """Refuse a model that differs by more.

        :param evaluation: the measured figures
        :param name: the model, for the message
        :param remedy: what may bring the model closer to the original
        :raises ModelAccuracyError: naming each limit that is passed
        """
        faults = self.faults(evaluation)
        if faults:
            raise ModelAccuracyError(
                f"{name} differs too much from the original on {evaluation.n} records. {'; '.join(faults)}. "
                f"Nothing was written: {remedy}, or move the limit if the difference is acceptable"
            )


def compare(original: Array, optimised: Array, samples: Samples, task: Task) -> Evaluation:
    """Compare two models' first outputs on the same records.

    :param original: the original's output, the first axis being the records
    :param optimised: the optimised model's output, of the same shape
    :param samples: the records
    :param task: what the models answer
    :returns: with accuracies where the records have labels and the models answer classes
    """
    scores, other = (_scores(output, samples, task) for output in (original, optimised))
    evaluation = compare_scores(scores, other, task)
    if samples.labels is None or task != "image-classification":
        return evaluation
    right, other_right = (values.argmax(axis=1) == samples.labels for values in (scores, other))
    return replace(evaluation, original_accuracy=float(right.mean()), accuracy=float(other_right.mean()))


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
