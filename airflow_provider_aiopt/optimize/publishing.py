"""Writing an optimised model where it is close enough to the original, and nothing where it is not."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import (
    ModelIntegrityError,
    ModelNotFoundError,
    SourceError,
    SpecError,
    StorageError,
)
from airflow_provider_aiopt.optimize.evaluation import Evaluation, compare
from airflow_provider_aiopt.optimize.folder import MODEL_FILE, file_sha256, new_model_folder, write_card
from airflow_provider_aiopt.optimize.graph import opset, tensor_cards
from airflow_provider_aiopt.optimize.imports import require, versions
from airflow_provider_aiopt.optimize.options import OptimizeOptions
from airflow_provider_aiopt.optimize.samples import SampleOptions, Samples, hold_out, load_samples
from airflow_provider_aiopt.optimize.sessions import latencies, run_model
from airflow_provider_aiopt.spec.card import CARD_FILE, ModelCard, OriginalCard, Precision, load_card
from airflow_provider_aiopt.spec.preprocess import TextPreprocessSpec

_LATENCY_BATCHES = (1, 32)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to optimise a model.

    :param command: the command that does it, such as ``quantize``
    :param suffix: what the name of the new model ends in
    :param precision: number format of the new model
    :param apply: writes the new model: takes the original's file, the file to write and the calibration
        records, None where there are none, and returns what it did, for the card
    :param words: the command line's words for the method's own options
    :param needs_calibration: whether it looks at data
    :param remedy: what may bring the new model closer to the original, for the gate's message
    """

    command: str
    suffix: str
    precision: Precision
    apply: Callable[[Path, Path, Samples | None], str]
    words: tuple[str, ...]
    needs_calibration: bool
    remedy: str


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
class OptimizeReport:
    """What optimising changed.

    :param before: the original
    :param after: the optimised model
    :param evaluation: how far the answers are apart
    :param card: the card of the new folder
    """

    before: Measurement
    after: Measurement
    evaluation: Evaluation
    card: ModelCard


def publish(options: OptimizeOptions, method: Method) -> OptimizeReport:
    """Optimise a model folder, compare the outcome with the original, and write it if it passes the gate.

    :param options: the folders, the data, and what is allowed
    :param method: what to do
    :raises SpecError: if the model folder has no card or is not FP32
    :raises ModelNotFoundError: if its model file is missing
    :raises ModelIntegrityError: if its model file is not the one that its card pins
    :raises SourceError: if the data are missing or of the wrong kind
    :raises ModelAccuracyError: if the optimised model differs too much; then nothing is written
    :raises MissingExtraError: if what optimises is not installed
    :raises StorageError: if the folder cannot be written
    """
    card = checked_card(options.model, precision="fp32")
    if options.output.exists() and options.output.samefile(options.model):
        raise StorageError(f"--output {options.output} is the model itself. Choose another folder")
    source = options.model / card.file
    calibration, held_out = _samples(options, card, method)
    with new_model_folder(options.output) as folder:
        target = folder / MODEL_FILE
        done = method.apply(source, target, calibration)
        name = f"{card.name}-{method.suffix}"
        evaluation = compare(
            run_model(source, held_out.feeds)[0], run_model(target, held_out.feeds)[0], held_out, card.task
        )
        options.gate.check(evaluation, name, remedy=method.remedy)
        facts = {"reference": card.name, "data": held_out.description, **evaluation.figures()}
        if calibration is not None:
            facts["calibration_data"] = calibration.description
        new_card = _new_card(
            options, method, card, target, {"name": name, "method": done, "evaluation": facts}
        )
        _copy_assets(options.model, card, folder)
        write_card(folder, new_card)
        before, after = _measure({source: card, target: new_card}, held_out)
    return OptimizeReport(before=before, after=after, evaluation=evaluation, card=new_card)


def command_line(options: OptimizeOptions, method: Method) -> str:
    """Return the command that stands for *options* and *method*, paths reduced to their last part."""
    words = ["aiopt", "model", method.command, *options.words(), *method.words, *options.limits()]
    return shlex.join(words)


def checked_card(folder: Path, *, precision: Precision | None = None) -> ModelCard:
    """Return the card of a model folder whose model is the one that it pins.

    :param folder: the model folder
    :param precision: the only number format that will do; None for any
    :raises SpecError: if there is no card, or the model is of another precision
    :raises ModelNotFoundError: if the model file is missing
    :raises ModelIntegrityError: if it has another hash
    """
    card = load_card(folder)
    file = folder / card.file
    if precision not in {None, card.precision}:
        raise SpecError(
            f"{folder} holds a model in {card.precision}; only {precision} can be optimised. Take its "
            "original"
        )
    if not file.is_file():
        raise ModelNotFoundError(f"{folder} has no model file {card.file}, which its {CARD_FILE} names")
    digest = file_sha256(file)
    if digest != card.sha256:
        raise ModelIntegrityError(
            f"{file} has the sha256 {digest}, but its {CARD_FILE} pins {card.sha256}. Export the model again"
        )
    return card


def _samples(options: OptimizeOptions, card: ModelCard, method: Method) -> tuple[Samples | None, Samples]:
    """Return the records to calibrate with, if any, and those to judge by."""
    how = SampleOptions(crops=options.crops, seed=options.seed)
    other = SampleOptions(crops=options.evaluation_crops, seed=options.seed + 1)
    judged = load_samples(options.evaluation, card, options.model, other) if options.evaluation else None
    if method.needs_calibration and options.calibration:
        calibration = load_samples(options.calibration, card, options.model, how)
        return (calibration, judged) if judged is not None else hold_out(calibration)
    if method.needs_calibration or judged is None:
        flag = "--calibration" if method.needs_calibration else "--evaluation"
        raise SourceError(f"aiopt model {method.command} needs data: give {flag} DATA")
    return None, judged


def _new_card(
    options: OptimizeOptions, method: Method, card: ModelCard, target: Path, changes: Mapping[str, Any]
) -> ModelCard:
    model = require("onnx", "Optimising a model").load(str(target))
    new = {
        "file": MODEL_FILE,
        "sha256": file_sha256(target),
        "command": command_line(options, method),
        "original": OriginalCard(name=card.name, sha256=card.sha256, command=card.command),
        "precision": method.precision,
        "opset": opset(model),
        "inputs": tensor_cards(model.graph.input),
        "outputs": tensor_cards(model.graph.output),
        "gate": asdict(options.gate),
        "versions": {**card.versions, **versions("onnx", "onnxruntime", "numpy", "pillow")},
    }
    return ModelCard.model_validate({**card.model_dump(), **new, **changes})


def copied_names(source: Path, card: ModelCard) -> Iterable[str]:
    """Return the names of what a model folder needs beside its model: labels, tokenizer and licences."""
    names = {path.name for path in source.glob("LICENSE*")}
    if card.labels:
        names.add(card.labels)
    if card.preprocess.get("kind") == "text":
        names.add(TextPreprocessSpec.model_validate(dict(card.preprocess)).tokenizer)
    return sorted(names)


def _copy_assets(source: Path, card: ModelCard, target: Path) -> None:
    for name in copied_names(source, card):
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
