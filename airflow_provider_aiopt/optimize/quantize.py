"""Quantising a model folder to INT8 behind an accuracy gate."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import ModelIntegrityError, ModelNotFoundError, SpecError, StorageError
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation, compare
from airflow_provider_aiopt.optimize.folder import (
    MODEL_FILE,
    file_sha256,
    new_model_folder,
    write_card,
)
from airflow_provider_aiopt.optimize.graph import is_convolutional, opset
from airflow_provider_aiopt.optimize.imports import require, versions
from airflow_provider_aiopt.optimize.quantizers import quantize_cnn, quantize_transformer
from airflow_provider_aiopt.optimize.samples import SampleOptions, Samples, hold_out, load_samples
from airflow_provider_aiopt.optimize.sessions import latencies, run_model
from airflow_provider_aiopt.spec.card import CARD_FILE, ModelCard, OriginalCard, load_card
from airflow_provider_aiopt.spec.preprocess import TextPreprocessSpec

_DIGITS = 4
_LATENCY_BATCHES = (1, 32)


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """What ``aiopt model quantize`` takes.

    :param model: the model folder to quantise
    :param output: the model folder to write
    :param calibration: data to calibrate with, see :func:`~.samples.load_samples`
    :param evaluation: data to judge by; None holds every fifth record of the calibration data out
    :param crops: random crops per calibration image
    :param evaluation_crops: random crops per evaluation image
    :param seed: of the calibration crops; the evaluation crops take the next one
    :param reduce_range: whether to keep weights to 7 bits, for CPUs without VNNI
    :param gate: the differences that are allowed
    """

    model: Path
    output: Path
    calibration: Path
    evaluation: Path | None = None
    crops: int = 16
    evaluation_crops: int = 40
    seed: int = 0
    reduce_range: bool = False
    gate: AccuracyGate = field(default_factory=AccuracyGate)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Size and speed of one model on this machine.

    :param name: the model's name
    :param precision: its number format
    :param size_bytes: of the model file
    :param latency_s: median time of a call by batch size, in seconds
    """

    name: str
    precision: str
    size_bytes: int
    latency_s: dict[int, float]


@dataclass(frozen=True, slots=True)
class QuantizeReport:
    """What quantising changed.

    :param before: the original
    :param after: the quantised model
    :param evaluation: how far the answers are apart
    :param card: the card of the new folder
    """

    before: Measurement
    after: Measurement
    evaluation: Evaluation
    card: ModelCard


def quantize_model(options: QuantizeOptions) -> QuantizeReport:
    """Quantise a model folder to INT8, compare it with the original, and write it if it passes the gate.

    A model with convolutions is quantised statically and its weights are rounded by what the layers really
    see; any other is quantised dynamically and needs the data for the comparison alone.

    :param options: what to quantise, with which data, and what is allowed
    :raises SpecError: if the model folder has no card or is not FP32
    :raises ModelNotFoundError: if its model file is missing
    :raises ModelIntegrityError: if its model file is not the one that its card pins
    :raises SourceError: if the data are missing or of the wrong kind
    :raises ModelAccuracyError: if the quantised model differs too much; then nothing is written
    :raises MissingExtraError: if the quantiser is not installed
    :raises StorageError: if the folder cannot be written
    """
    onnx = require("onnx", "Quantising a model")
    card = _checked_card(options.model)
    if options.output.exists() and options.output.samefile(options.model):
        raise StorageError(f"--output {options.output} is the model itself. Choose another folder")
    source = options.model / card.file
    calibration, held_out = _samples(options, card)
    with new_model_folder(options.output) as folder:
        target = folder / MODEL_FILE
        if is_convolutional(onnx.load(str(source))):
            quantize_cnn(source, target, calibration.feeds, reduce_range=options.reduce_range)
        else:
            quantize_transformer(source, target, reduce_range=options.reduce_range)
        evaluation = compare(
            run_model(source, held_out.feeds)[0], run_model(target, held_out.feeds)[0], held_out, card.task
        )
        options.gate.check(evaluation, card.name)
        figures = {name: round(value, _DIGITS) for name, value in asdict(evaluation).items()}
        facts = {
            "reference": card.name,
            "data": held_out.description,
            **figures,
            "calibration_data": calibration.description,
        }
        new_card = _new_card(options, card, target, facts)
        _copy_assets(options.model, card, folder)
        write_card(folder, new_card)
        before, after = _measure({source: card, target: new_card}, held_out)
    return QuantizeReport(before=before, after=after, evaluation=evaluation, card=new_card)


def command_line(options: QuantizeOptions) -> str:
    """Return the command that stands for *options*, its paths reduced to their last part."""
    gate = options.gate
    words = ["aiopt", "model", "quantize", options.model.name, "--output", options.output.name]
    words += ["--calibration", options.calibration.name]
    if options.evaluation:
        words += ["--evaluation", options.evaluation.name]
    words += ["--crops", str(options.crops), "--evaluation-crops", str(options.evaluation_crops)]
    words += ["--seed", str(options.seed), *(["--reduce-range"] if options.reduce_range else [])]
    words += ["--max-disagreement", str(gate.max_disagreement)]
    words += ["--max-score-error", str(gate.max_score_error)]
    words += ["--max-mean-score-error", str(gate.max_mean_score_error)]
    return shlex.join(words)


def _checked_card(folder: Path) -> ModelCard:
    card = load_card(folder)
    file = folder / card.file
    if card.precision != "fp32":
        raise SpecError(
            f"{folder} holds a model in {card.precision}; only fp32 can be quantised. Quantise the original"
        )
    if not file.is_file():
        raise ModelNotFoundError(f"{folder} has no model file {card.file}, which its {CARD_FILE} names")
    digest = file_sha256(file)
    if digest != card.sha256:
        raise ModelIntegrityError(
            f"{file} has the sha256 {digest}, but its {CARD_FILE} pins {card.sha256}. Export the model again"
        )
    return card


def _samples(options: QuantizeOptions, card: ModelCard) -> tuple[Samples, Samples]:
    how = SampleOptions(crops=options.crops, seed=options.seed)
    calibration = load_samples(options.calibration, card, options.model, how)
    if options.evaluation is None:
        return hold_out(calibration)
    other = SampleOptions(crops=options.evaluation_crops, seed=options.seed + 1)
    return calibration, load_samples(options.evaluation, card, options.model, other)


def _new_card(options: QuantizeOptions, card: ModelCard, target: Path, facts: Mapping[str, Any]) -> ModelCard:
    onnx = require("onnx", "Quantising a model")
    changes = {
        "name": f"{card.name}-int8",
        "file": MODEL_FILE,
        "sha256": file_sha256(target),
        "command": command_line(options),
        "original": OriginalCard(name=card.name, sha256=card.sha256, command=card.command),
        "precision": "int8",
        "opset": opset(onnx.load(str(target))),
        "evaluation": facts,
        "versions": {**card.versions, **versions("onnx", "onnxruntime", "numpy", "pillow")},
    }
    return ModelCard.model_validate({**card.model_dump(), **changes})


def _copy_assets(source: Path, card: ModelCard, target: Path) -> None:
    """Copy what the new folder needs beside its model: labels, tokenizer and licences."""
    names = {path.name for path in source.glob("LICENSE*")}
    if card.labels:
        names.add(card.labels)
    if card.preprocess.get("kind") == "text":
        names.add(TextPreprocessSpec.model_validate(dict(card.preprocess)).tokenizer)
    for name in sorted(names):
        if not (source / name).is_file():
            raise ModelNotFoundError(f"{source} has no file {name}, which its {CARD_FILE} names")
        shutil.copyfile(source / name, target / name)


def _measure(models: Mapping[Path, ModelCard], samples: Samples) -> list[Measurement]:
    times: dict[Path, dict[int, float]] = {file: {} for file in models}
    for size in sorted({min(size, len(samples)) for size in _LATENCY_BATCHES}):
        medians = latencies(list(models), samples.feeds, batch_size=size)
        for file, median in zip(models, medians, strict=True):
            times[file][size] = median
    return [
        Measurement(
            name=card.name, precision=card.precision, size_bytes=file.stat().st_size, latency_s=times[file]
        )
        for file, card in models.items()
    ]
