"""What is searched: from a spec and a machine to values by key; pure.

A value is None where the key is left out: its default then holds on any machine that the spec is run on.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.spec.execution import AUTO
from airflow_provider_aiopt.spec.model import RUNTIME_FILES
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.models import Configuration

BATCH_SIZE = "execution.batch_size"
WORKERS = "execution.workers"
IN_FLIGHT = "execution.max_bytes_in_flight"
SHARDS = "execution.shards"
READERS = "source.readers"
THREADS = "model.threads"
MODEL = "model.uri"
PAD_TO = "execution.batching.pad_to"

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_MEBIBYTE = 1024 * 1024
_IN_FLIGHT = (4 * _MEBIBYTE, 32 * _MEBIBYTE, 256 * _MEBIBYTE)
_REMOTE_READERS = (8, 16, 32)
_ANSWERS = ("model.", "preprocess.", "postprocess.")
"""Sections that decide what a pipeline answers, but for what is in :data:`_NO_ANSWERS`."""
_NO_ANSWERS = (THREADS,)
_MOST_DRAWN = 5000
_FEWEST_BATCHES = 4
"""Batches of the sample for each thread: with fewer most of a run is its beginning and its end."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a pipeline may use.

    :param cores: cores of the process, by its affinity and its control group's quota
    :param memory_bytes: what it may use, None where that is not known
    :param device: whether the model runs on a GPU
    """

    cores: int
    memory_bytes: int | None = None
    device: bool = False

    @property
    def default_workers(self) -> int:
        """Batches that streaming works on at once unless the spec says it: on the CPU one more than cores."""
        return self.cores if self.device else self.cores + 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The records that trials run on.

    :param records: how many
    :param total: how many the source has
    """

    records: int
    total: int


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values of one key.

    :param key: dotted key of the spec
    :param values: what is tried
    :param ordered: whether neighbours are alike
    :param default: what None amounts to
    """

    key: str
    values: tuple[Any, ...]
    ordered: bool = True
    default: int | None = None


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All that is searched.

    :param dimensions: at least one, each of at least two values
    :param baseline: the values that the user's spec has
    """

    dimensions: tuple[Dimension, ...]
    baseline: Configuration

    @property
    def size(self) -> int:
        """How many configurations there are."""
        return math.prod(len(dimension.values) for dimension in self.dimensions)

    def indices(self, configuration: Configuration) -> dict[str, int]:
        """Return the places of a configuration's values."""
        return {item.key: item.values.index(configuration[item.key]) for item in self.dimensions}

    def at(self, indices: Mapping[str, int]) -> dict[str, Any]:
        """Return the configuration whose values have these places."""
        return {item.key: item.values[indices[item.key]] for item in self.dimensions}


def build_space(
    spec: PipelineSpec,
    machine: Machine,
    sample: Sample,
    *,
    models: Sequence[str] = (),
    only: Mapping[str, Sequence[Any]] | None = None,
) -> SearchSpace:
    """Return what is searched for a pipeline.

    The spec's own values are always among it.

    :param spec: the pipeline
    :param machine: what it runs on
    :param sample: what trials run on
    :param models: further model files or folders that may answer in the model's place
    :param only: values by key, in the place of what would be searched
    :raises TuningError: if there is nothing to search
    """
    if only:
        wanted = [_dimension(key, values, spec, machine) for key, values in only.items()]
    else:
        wanted = list(_own_dimensions(spec, machine, sample))
    if models:
        wanted.append(_dimension(MODEL, models, spec, machine))
    dimensions = tuple(item for item in wanted if len(item.values) > 1)
    if not dimensions:
        raise TuningError(
            "There is nothing to search: every key has one value only. Give more than one with "
            "--search KEY=VALUE,VALUE"
        )
    return SearchSpace(dimensions, {item.key: _value(spec, item.key) for item in dimensions})


def _own_dimensions(spec: PipelineSpec, machine: Machine, sample: Sample) -> Iterator[Dimension]:
    most = max(1, sample.records // (_FEWEST_BATCHES * machine.default_workers))
    yield _dimension(BATCH_SIZE, [size for size in _BATCH_SIZES if size <= most], spec, machine)
    yield _dimension(WORKERS, worker_counts(machine), spec, machine)
    if not machine.device:  # there the host's threads do not compute
        threads = [None, *(count for count in (2, machine.cores) if count <= machine.cores)]
        yield _dimension(THREADS, threads, spec, machine)
    yield _dimension(IN_FLIGHT, _IN_FLIGHT, spec, machine)
    if spec.source.format == "files" and "://" in spec.source.uri:
        yield _dimension(READERS, [None, *_REMOTE_READERS], spec, machine)
    if spec.execution.shard_bytes is None:
        yield _dimension(SHARDS, _shard_counts(machine, sample), spec, machine)


def _dimension(key: str, values: Sequence[Any], spec: PipelineSpec, machine: Machine) -> Dimension:
    """Return the values of a key and the spec's own, in order where they are numbers."""
    own = _value(spec, key)
    found = list(dict.fromkeys([*values, own]))
    default = {WORKERS: machine.default_workers, READERS: machine.default_workers, THREADS: 1}.get(key)

    def place(value: Any) -> float:
        if value is None:
            return -math.inf if default is None else default
        return math.inf if value == AUTO else float(value)

    ordered = all(value is None or value == AUTO or type(value) in (int, float) for value in found)
    return Dimension(key, tuple(sorted(found, key=place) if ordered else found), ordered, default)


def worker_counts(machine: Machine) -> list[int | None]:
    """Return the numbers of workers to try, None being the default."""
    counts = {1, machine.cores // 2, machine.cores, 2 * machine.cores} - {0, machine.default_workers}
    return [None, *sorted(counts)]


def _shard_counts(machine: Machine, sample: Sample) -> list[int]:
    """Return numbers of shards that make a difference within the sample."""
    counts = (machine.cores, 4 * machine.cores, 16 * machine.cores)
    return [1, *(count for count in counts if shard_records(count, sample) < sample.records)]


def shard_records(shards: int, sample: Sample) -> int:
    """Return how many records one of *shards* shards of the whole source has."""
    return max(1, math.ceil(sample.total / shards))


def overrides(spec: PipelineSpec, configuration: Configuration) -> dict[str, Any]:
    """Return what to set in a spec for a configuration: its values, and what has to change with them.

    :param spec: the pipeline
    :param configuration: values by dotted key
    """
    found = {key: value for key, value in configuration.items() if value != _value(spec, key)}
    size = configuration.get(BATCH_SIZE, spec.execution.batch_size)
    if BATCH_SIZE in found:
        if spec.execution.batching.pad_to and size != AUTO:
            found[PAD_TO] = [*(pad for pad in spec.execution.batching.pad_to if pad < size), size]
        if spec.execution.batch_size == AUTO:  # bounds of what auto may choose
            found |= {
                f"execution.batching.{key}": None
                for key in ("max_latency_ms", "max_bytes")
                if getattr(spec.execution.batching, key) is not None
            }
    uri = found.get(MODEL)
    if uri is not None:
        found |= _model_changes(spec, str(uri))
    return found


def _model_changes(spec: PipelineSpec, uri: str) -> dict[str, Any]:
    """Return what changes with the model: the hash of the other one, and the runtime of its kind of file."""
    found: dict[str, Any] = {"model.sha256": None} if spec.model.sha256 else {}
    for runtime, endings in RUNTIME_FILES.items():
        if uri.endswith(endings) and runtime != spec.model.runtime:
            found["model.runtime"] = runtime
    return found


def changes_answers(configuration: Configuration, baseline: Configuration) -> bool:
    """Tell whether a configuration may answer otherwise than the baseline does."""
    return any(value != baseline[key] for key, value in _answering(configuration).items())


def answers_key(configuration: Configuration) -> str:
    """Return what configurations have in common that answer alike."""
    return json.dumps(_answering(configuration), sort_keys=True)


def _answering(configuration: Configuration) -> dict[str, Any]:
    return {
        key: value
        for key, value in configuration.items()
        if key.startswith(_ANSWERS) and key not in _NO_ANSWERS
    }


def threads_at_once(configuration: Configuration, spec: PipelineSpec, machine: Machine) -> int:
    """Return how many threads call the model at once: those of a call times the calls side by side."""
    workers = configuration.get(WORKERS, spec.execution.workers)
    threads = configuration.get(THREADS, spec.model.threads)
    return (workers or machine.cores) * (threads or 1)


def is_oversubscribed(configuration: Configuration, spec: PipelineSpec, machine: Machine) -> bool:
    """Tell whether more threads call the model than there are cores."""
    return not machine.device and threads_at_once(configuration, spec, machine) > machine.cores


def is_measurable(configuration: Configuration, spec: PipelineSpec, machine: Machine, sample: Sample) -> bool:
    """Tell whether the sample is large enough for a configuration: its batches must fill all threads."""
    size = configuration.get(BATCH_SIZE, spec.execution.batch_size)
    rows = spec.execution.batch_rows if size == AUTO else size
    workers = configuration.get(WORKERS, spec.execution.workers) or machine.default_workers
    return int(rows) * int(workers) * 2 <= sample.records


def draw_configurations(space: SearchSpace, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield configurations in random order: all of a small space, some of a large one.

    :param space: what is searched
    :param chance: decides on the order
    """
    for number in chance.sample(range(space.size), min(space.size, _MOST_DRAWN)):
        rest, indices = number, {}
        for item in space.dimensions:
            rest, indices[item.key] = divmod(rest, len(item.values))
        yield space.at(indices)


def guesses(space: SearchSpace, machine: Machine) -> list[dict[str, Any]]:
    """Return configurations that are likely to be good, the likeliest first; the baseline is not among them.

    They follow from what ``docs/performance.md`` measured: as many single-threaded calls as there are cores
    and one more, in batches that the caches hold (8 on a CPU, 32 on a device), enough in flight that no
    thread waits, and files of remote storage read by more threads than there are cores.

    :param space: what is searched
    :param machine: what the pipeline runs on
    """
    good: dict[str, tuple[Any, ...]] = {
        BATCH_SIZE: (32, 64, 16) if machine.device else (8, 4, 16),
        WORKERS: (None, machine.cores, machine.default_workers),
        THREADS: (None, 1),
        IN_FLIGHT: (256 * _MEBIBYTE, 32 * _MEBIBYTE),
        READERS: (16, 8, None),
    }
    likely = {
        item.key: next((v for v in good.get(item.key, ()) if v in item.values), space.baseline[item.key])
        for item in space.dimensions
    }
    found = [likely]
    for key, values in good.items():  # one value aside of it at a time, in the order of what they matter
        if key in likely:
            keyed = next(item for item in space.dimensions if item.key == key)
            found += [{**likely, key: v} for v in values if v in keyed.values and v != likely[key]]
    return [item for item in _distinct(found) if item != space.baseline]


def advised(space: SearchSpace, changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the configurations that recommendations come to: all of them together, then the first alone.

    A number that is not searched becomes the nearest one that is; other keys and values are left out.

    :param space: what is searched
    :param changes: of each recommendation the values by dotted key, the most promising first
    """
    merged: dict[str, Any] = {}
    for item in changes:
        merged = {**item, **merged}
    found = [{**space.baseline, **_nearest(space, item)} for item in (merged, *changes[:1])]
    return [item for item in _distinct(found) if item != space.baseline]


def _nearest(space: SearchSpace, changes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in space.dimensions:
        if item.key not in changes:
            continue
        wanted = changes[item.key]
        numbers = {item.default if value is None else value: value for value in item.values}
        if wanted in item.values:
            found[item.key] = wanted
        elif item.ordered and type(wanted) is int and wanted > 0:
            sizes = [number for number in numbers if type(number) is int]
            nearest = min(sizes, key=lambda number: abs(math.log(number / wanted)), default=None)
            found |= {} if nearest is None else {item.key: numbers[nearest]}
    return found


def _distinct(configurations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {}
    for item in configurations:
        seen.setdefault(json.dumps(item, sort_keys=True), item)
    return list(seen.values())


def _value(spec: PipelineSpec, key: str) -> Any:
    found: Any = spec
    for name in key.split("."):
        if found is None:
            return None
        if not hasattr(found, name):
            raise TuningError(f"--search names {key}, but a spec has no {name} there. See aiopt spec schema")
        found = getattr(found, name)
    return found
