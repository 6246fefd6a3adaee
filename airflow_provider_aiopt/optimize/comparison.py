"""Several models side by side on the same data: size, speed and how far their answers are apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation, compare
from airflow_provider_aiopt.optimize.publishing import checked_card
from airflow_provider_aiopt.optimize.samples import SampleOptions, Samples, load_samples
from airflow_provider_aiopt.optimize.sessions import batches
from airflow_provider_aiopt.spec.card import ModelCard

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BATCH_SIZES = (1, 16)
ROUNDS = 5
_WARM_UP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What ``aiopt model compare`` takes.

    :param models: model folders, the reference first
    :param data: records to run them on, see :func:`~.samples.load_samples`
    :param crops: random crops per image
    :param seed: of the crops
    :param batch_sizes: records per call that is timed
    :param rounds: how often each model has its turn at each batch size
    :param calls: timed calls of a turn
    :param device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``
    :param gate: what a model must keep to
    """

    models: tuple[Path, ...]
    data: Path
    crops: int = 40
    seed: int = 1
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    rounds: int = ROUNDS
    calls: int = 10
    device: str = "auto"
    gate: AccuracyGate = field(default_factory=AccuracyGate)


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one model's calls, in seconds.

    :param p50_s: median
    :param p95_s: 95th percentile
    :param calls: how many calls these are of
    :param items_per_s: records over the median time
    """

    p50_s: float
    p95_s: float
    calls: int
    items_per_s: float


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One model's figures.

    :param folder: name of its folder
    :param name: its name
    :param precision: its number format
    :param sha256: hash of its file
    :param size_bytes: of its file
    :param runtime: what ran it, with the provider that really loaded
    :param latency: by batch size
    :param evaluation: how far its answers are from the reference's; None for the reference
    :param faults: the gate's limits that it passes; none: it is close enough
    """

    folder: str
    name: str
    precision: str
    sha256: str
    size_bytes: int
    runtime: str
    latency: Mapping[int, Latency]
    evaluation: Evaluation | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Models side by side.

    :param models: the reference first
    :param data: what they ran on
    :param records: how many that were
    """

    models: tuple[ComparedModel, ...]
    data: str
    records: int


class Runnable(Protocol):
    """A loaded model."""

    @property
    def description(self) -> str:
        """The runtime and what it runs on."""

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs of one batch."""


def compare_models(
    options: CompareOptions, *, clock: Callable[[], float] = time.perf_counter
) -> ModelComparison:
    """Run several models on the same records, and time them in turns.

    They are run by the same runtime as in a pipeline.  In each round every model has its turn, so that what
    else the machine does meets all of them alike.

    :param options: which models, on which data
    :param clock: seconds
    :raises SpecError: if a folder is no model folder, or the models do not take or answer the same
    :raises ModelIntegrityError: if a model file is not the one that its card pins
    :raises SourceError: if the data are missing or of the wrong kind
    :raises DeviceUnavailableError: if the device is not to be had
    """
    cards = [checked_card(folder) for folder in options.models]
    reference = cards[0]
    for folder, card in zip(options.models, cards, strict=True):
        _check_comparable(reference, card, folder)
    how = SampleOptions(crops=options.crops, seed=options.seed)
    samples = load_samples(options.data, reference, options.models[0], how)
    loaded = [_load(folder, card, options.device) for folder, card in zip(options.models, cards, strict=True)]
    outputs = [_answers(model, card, samples) for model, card in zip(loaded, cards, strict=True)]
    times = {size: time_in_turns(loaded, samples, size, options, clock) for size in _sizes(options, samples)}
    models = []
    for index, (folder, card) in enumerate(zip(options.models, cards, strict=True)):
        evaluation = compare(outputs[0], outputs[index], samples, card.task) if index else None
        models.append(
            ComparedModel(
                folder=folder.name,
                name=card.name,
                precision=card.precision,
                sha256=card.sha256,
                size_bytes=(folder / card.file).stat().st_size,
                runtime=loaded[index].description,
                latency={size: latency_of(turns[index], size) for size, turns in times.items()},
                evaluation=evaluation,
                faults=options.gate.faults(evaluation) if evaluation else (),
            )
        )
    return ModelComparison(tuple(models), samples.description, len(samples))


def time_in_turns(
    models: Sequence[Runnable],
    samples: Samples,
    size: int,
    options: CompareOptions,
    clock: Callable[[], float],
) -> list[list[float]]:
    """Return the seconds of each model's calls with batches of *size* records.

    :param models: those that take turns; the order is turned round from round to round
    :param samples: records that the batches are cut from, another one for each call
    :param size: records per call
    :param options: rounds, and calls of a turn
    :param clock: seconds
    """
    every = [batch for batch in batches(samples.feeds, size) if len(next(iter(batch.values()))) == size]
    for model in models:
        for number in range(_WARM_UP):
            model.run(every[number % len(every)])
    times: list[list[float]] = [[] for _ in models]
    order = list(range(len(models)))
    for turn in range(options.rounds):
        for index in order if turn % 2 == 0 else reversed(order):
            for number in range(options.calls):
                batch = every[(turn * options.calls + number) % len(every)]
                began = clock()
                models[index].run(batch)
                times[index].append(clock() - began)
    return times


def latency_of(times: Sequence[float], size: int) -> Latency:
    """Reduce the times of calls with *size* records each to what a reader wants to know."""
    import numpy as np

    p50, p95 = (float(value) for value in np.quantile(times, (0.5, 0.95)))
    return Latency(p50_s=p50, p95_s=p95, calls=len(times), items_per_s=size / p50)


def _sizes(options: CompareOptions, samples: Samples) -> list[int]:
    return sorted({min(size, len(samples)) for size in options.batch_sizes})


def _check_comparable(reference: ModelCard, card: ModelCard, folder: Path) -> None:
    taken, needed = ({item.name for item in one.inputs} for one in (reference, card))
    if card.task != reference.task or taken != needed:
        raise SpecError(
            f"{folder} cannot be compared with {reference.name}: it is for {card.task} and takes "
            f"{', '.join(sorted(needed))}; the other is for {reference.task} and takes "
            f"{', '.join(sorted(taken))}. Give forms of one model"
        )


def _load(folder: Path, card: ModelCard, device: str) -> Runnable:
    from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime

    return OnnxRuntime(folder / card.file, device=device)


def _answers(model: Runnable, card: ModelCard, samples: Samples) -> Array:
    import numpy as np

    names = [item.name for item in card.inputs]
    output = card.outputs[0].name
    every = batches({name: samples.feeds[name] for name in names})
    return np.concatenate([np.asarray(model.run(batch)[output]) for batch in every])
