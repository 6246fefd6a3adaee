"""What every optimisation of a model takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_aiopt.optimize.evaluation import AccuracyGate


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeOptions:
    """What ``aiopt model quantize``, ``prune`` and ``fp16`` have in common.

    :param model: the model folder to optimise
    :param output: the model folder to write
    :param calibration: data that the method looks at, see :func:`~.samples.load_samples`; None where it needs
        none
    :param evaluation: data to judge by; None holds every fifth record of the calibration data out
    :param crops: random crops per calibration image
    :param evaluation_crops: random crops per evaluation image
    :param seed: of the calibration crops; the evaluation crops take the next one
    :param gate: the differences that are allowed
    """

    model: Path
    output: Path
    calibration: Path | None = None
    evaluation: Path | None = None
    crops: int = 16
    evaluation_crops: int = 40
    seed: int = 0
    gate: AccuracyGate = field(default_factory=AccuracyGate)

    def words(self) -> Iterator[str]:
        """Yield the command line's words for these options, paths reduced to their last part."""
        yield from (self.model.name, "--output", self.output.name)
        if self.calibration:
            yield from ("--calibration", self.calibration.name)
        if self.evaluation:
            yield from ("--evaluation", self.evaluation.name)
        numbers = {
            "--crops": self.crops,
            "--evaluation-crops": self.evaluation_crops,
            "--seed": self.seed,
        }
        for flag, number in numbers.items():
            yield from (flag, str(number))

    def limits(self) -> Iterator[str]:
        """Yield the command line's words for the gate."""
        yield from ("--min-agreement", str(self.gate.min_agreement))
        yield from ("--max-score-error", str(self.gate.max_score_error))
        yield from ("--max-mean-score-error", str(self.gate.max_mean_score_error))
        yield from ("--max-accuracy-drop", str(self.gate.max_accuracy_drop))
