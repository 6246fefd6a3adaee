"""Building a model's TensorRT engines before a pipeline needs them, behind the accuracy gate.

An engine fits one kind of device, so it is no model folder to copy about: it goes where inference on this
machine looks for it, ``$AIOPT_CACHE_DIR``/tensorrt.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import DeviceUnavailableError
from airflow_provider_aiopt.optimize.comparison import Runnable
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation, compare
from airflow_provider_aiopt.optimize.publishing import checked_card
from airflow_provider_aiopt.optimize.samples import SampleOptions, Samples, load_samples
from airflow_provider_aiopt.optimize.sessions import batches, run_model
from airflow_provider_aiopt.runtimes.base import Normalisation
from airflow_provider_aiopt.runtimes.files import cache_dir
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest
from airflow_provider_aiopt.spec.card import ModelCard
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Opener = Callable[[Path, EngineRequest, Normalisation | None], Runnable]
"""Opens a model file on TensorRT, building what engines are missing."""

REPORT = "engines.json"
"""Name of the report beside the engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What ``aiopt model tensorrt`` takes.

    :param model: the model folder; engines compute in the precision of its graph
    :param evaluation: data to judge by
    :param batch_sizes: rows that calls will have: ``execution.batching.pad_to``, or ``execution.batch_size``
        alone; one engine takes all from a single row to the largest, and is tuned for that
    :param evaluation_crops: random crops per image
    :param seed: of the crops
    :param gate: how far answers may be from those of ONNX Runtime on the CPU
    """

    model: Path
    evaluation: Path
    batch_sizes: tuple[int, ...] = (32,)
    evaluation_crops: int = 40
    seed: int = 1
    gate: AccuracyGate = field(default_factory=AccuracyGate)


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What was built, and what that brings.

    :param model: name of the model
    :param sha256: hash of its file
    :param runtime: what ran it, with the provider that really loaded
    :param folder: where the engines lie; empty where none had to be built
    :param files: hash of each new file by its name: engines, profiles and the timing cache
    :param batch_sizes: rows of the calls that they were built for
    :param first_s: seconds to load the model and run a call of each size, engines being built
    :param again_s: the same once more, engines being found
    :param evaluation: how far its answers are from those on the CPU
    """

    model: str
    sha256: str
    runtime: str
    folder: str
    files: Mapping[str, str]
    batch_sizes: tuple[int, ...]
    first_s: float
    again_s: float
    evaluation: Evaluation


def build_engines(
    options: EngineOptions, *, opener: Opener | None = None, clock: Callable[[], float] = time.perf_counter
) -> EngineReport:
    """Build a model's engines as inference would, and keep them if the answers pass the gate.

    :param options: which model, for which calls, and what is allowed
    :param opener: opens the model; default: ONNX Runtime with its TensorRT provider
    :param clock: seconds
    :raises DeviceUnavailableError: if this machine has no device, no TensorRT, or no ONNX Runtime for them
    :raises ModelAccuracyError: if the answers differ too much; then what was built is removed
    :raises ModelError: and others, as :func:`~.publishing.checked_card` has them
    """
    card = checked_card(options.model)
    file = options.model / card.file
    how = SampleOptions(crops=options.evaluation_crops, seed=options.seed)
    samples = load_samples(options.evaluation, card, options.model, how)
    request = EngineRequest(card.sha256, tuple(sorted(set(options.batch_sizes))))
    normalisation = normalisation_of(card)
    store = cache_dir() / "tensorrt"
    before = _files(store)
    try:
        began = clock()
        model = _open(opener or _tensorrt, file, request, normalisation)
        feeds = feeds_of(model, card, samples)
        _call_each(model, feeds, request.batch_sizes)
        first = clock() - began
        answered = _answers(model, card, feeds, request.batch_sizes[-1])
        evaluation = compare(run_model(file, samples.feeds)[0], answered, samples, card.task)
        options.gate.check(
            evaluation, f"{card.name} on TensorRT", remedy="build from a model of higher precision"
        )
    except BaseException:
        _remove(_files(store) - before)
        raise
    began = clock()
    _call_each(_open(opener or _tensorrt, file, request, normalisation), feeds, request.batch_sizes)
    again = clock() - began
    new = sorted(_files(store) - before)
    report = EngineReport(
        model=card.name,
        sha256=card.sha256,
        runtime=model.description,
        folder=str(new[0].parent) if new else "",
        files={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in new},
        batch_sizes=request.batch_sizes,
        first_s=first,
        again_s=again,
        evaluation=evaluation,
    )
    if new:
        text = json.dumps(asdict(report) | {"gate": asdict(options.gate)}, indent=2) + "\n"
        (new[0].parent / REPORT).write_text(text, encoding="utf-8")
    return report


def normalisation_of(card: ModelCard) -> Normalisation | None:
    """Return what a model of images wants done to pixels, None for models of other things."""
    if card.preprocess.get("kind") != "image":
        return None
    settings = ImagePreprocessSpec.model_validate(dict(card.preprocess))
    return Normalisation(settings.mean, settings.std, settings.layout)


def feeds_of(model: Runnable, card: ModelCard, samples: Samples) -> dict[str, Array]:
    """Return the records as the loaded model takes them: pixels where it normalises them itself.

    :param model: the loaded model
    :param card: its card
    :param samples: the records, normalised
    """
    import numpy as np

    normalisation = normalisation_of(card)
    feeds = {item.name: samples.feeds[item.name] for item in card.inputs}
    if normalisation is None or not any(item.pixels for item in getattr(model, "inputs", ())):
        return feeds
    name = card.inputs[0].name
    values = feeds[name].transpose(0, 2, 3, 1) if normalisation.layout == "nchw" else feeds[name]
    pixels = values * np.asarray(normalisation.std) + np.asarray(normalisation.mean)
    return {name: np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))}


def _tensorrt(file: Path, request: EngineRequest, normalisation: Normalisation | None) -> Runnable:
    from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime

    return OnnxRuntime(file, device="tensorrt", engines=request, normalisation=normalisation)


def _open(
    opener: Opener, file: Path, request: EngineRequest, normalisation: Normalisation | None
) -> Runnable:
    try:
        return opener(file, request, normalisation)
    except DeviceUnavailableError as error:
        raise DeviceUnavailableError(
            f"TensorRT engines are built on the machine that is to run them, and this one cannot: {error}"
        ) from error


def _call_each(model: Runnable, feeds: Mapping[str, Array], sizes: tuple[int, ...]) -> None:
    for size in sizes:
        model.run(_padded(feeds, 0, size))


def _answers(model: Runnable, card: ModelCard, feeds: Mapping[str, Array], size: int) -> Array:
    """Return the answers to all records, in calls of one size, so that no other engine is asked for."""
    import numpy as np

    output, parts = card.outputs[0].name, []
    count = len(next(iter(feeds.values())))
    for start, batch in zip(range(0, count, size), batches(feeds, size), strict=True):
        rows = len(next(iter(batch.values())))
        parts.append(np.asarray(model.run(_padded(feeds, start, size))[output])[:rows])
    return np.concatenate(parts)


def _padded(feeds: Mapping[str, Array], start: int, size: int) -> dict[str, Array]:
    """Return *size* records from *start* on, the first ones again where there are no more."""
    import numpy as np

    count = len(next(iter(feeds.values())))
    places = (start + np.arange(size)) % count
    return {name: value[places] for name, value in feeds.items()}


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def _remove(files: set[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        if folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder)
