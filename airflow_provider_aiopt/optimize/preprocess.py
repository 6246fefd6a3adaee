"""Comparing fast preprocessing with the exact one: what the model answers, and what it costs."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import PreprocessAccuracyError, SourceError, SpecError
from airflow_provider_aiopt.optimize.evaluation import Evaluation, compare_scores, softmax, unit_vectors
from airflow_provider_aiopt.runner.index import list_records
from airflow_provider_aiopt.runtimes.loading import LoadedModel
from airflow_provider_aiopt.spec.card import Task
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.spec.postprocess import ClassificationSpec, EmbeddingSpec
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec
from airflow_provider_aiopt.stages.choose import (
    effective_postprocess,
    effective_preprocess,
    load_pipeline_model,
    make_batcher,
    make_head,
)
from airflow_provider_aiopt.stages.inference import OUTPUT, InferenceStage
from airflow_provider_aiopt.stages.ingest import IngestStage
from airflow_provider_aiopt.stages.transforms.image import TENSOR, ImageTransform

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

EXACT: dict[str, Any] = {"resize_backend": "pillow", "scaled_decode": False}
"""The settings that fast ones are compared with."""

_BLOCK = 8  # rows that lie side by side: going to a row may mean reading all that are before it


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """What preparing one image takes, on one thread.

    :param cpu_s: CPU time, in seconds
    :param wall_s: time, in seconds
    """

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class PreprocessComparison:
    """How far fast preprocessing is from the exact one.

    :param settings: the fast settings: those of the spec that :data:`EXACT` has otherwise
    :param sampled: records that were taken from the source and could be read
    :param unusable: those that come to no answer either way: they are no images, or the model answers NaN
    :param one_sided: those that come to an answer one way only; they count as another answer
    :param agreement: share of the usable records that have the same first answer, 0 to 1
    :param evaluation: how far the answers are apart where there are two
    :param mean_pixel_difference: of the prepared pixels, whose scale is 0 to 255
    :param max_pixel_difference: of the prepared pixels
    :param exact: what exact preprocessing costs
    :param fast: what fast preprocessing costs
    """

    settings: dict[str, Any]
    sampled: int
    unusable: int
    one_sided: int
    agreement: float
    evaluation: Evaluation
    mean_pixel_difference: float
    max_pixel_difference: int
    exact: DecodeCost
    fast: DecodeCost

    def check(self, min_agreement: float) -> None:
        """Refuse settings that change too many answers.

        :param min_agreement: share of the usable records that must have the same first answer, 0 to 1
        :raises PreprocessAccuracyError: if fewer have
        """
        if not self.agreement >= min_agreement:
            settings = " and ".join(f"preprocess.{name} {value}" for name, value in self.settings.items())
            raise PreprocessAccuracyError(
                f"With {settings}, {self.agreement:.2%} of {self.sampled - self.unusable} records have the "
                f"same first answer; --min-agreement asks for {min_agreement:.2%}. Use the exact settings, "
                "or ask for less if the difference is acceptable"
            )


def compare_preprocessing(
    spec: PipelineSpec,
    *,
    sample: int = 64,
    seed: int = 0,
    resolver: FileSystemResolver = resolve_filesystem,
    allowed_callables: Sequence[str] = (),
) -> PreprocessComparison:
    """Prepare a sample of the source both ways, run the model on either, and compare.

    :param spec: a pipeline over images with fast settings
    :param sample: records to take
    :param seed: of the choice of records
    :param resolver: how to find file systems
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    :raises SpecError: if it has no fast settings
    :raises SourceError: if no sampled record comes to an answer both ways
    """
    import numpy as np

    model = load_pipeline_model(spec, resolver=resolver)
    fast_spec = effective_preprocess(spec, model.files)
    settings = fast_settings(fast_spec)
    assert isinstance(fast_spec, ImagePreprocessSpec)  # noqa: S101 - no other has fast settings
    source = list_records(spec.source, resolver=resolver, allowed_callables=allowed_callables)
    payloads = _sampled(source, sample, seed, blocks=spec.source.format != "files")
    ways = [ImageTransform(fast_spec.model_copy(update=EXACT)), ImageTransform(fast_spec)]
    pixels, costs = _prepared(payloads, ways)
    exact, fast = (_answers(spec, model, way, found) for way, found in zip(ways, pixels, strict=True))
    both, either = sorted(exact.keys() & fast.keys()), exact.keys() | fast.keys()
    if not both:
        raise SourceError(f"None of the {len(payloads)} sampled records comes to an answer both ways")
    scores, other = (np.stack([found[position] for position in both]) for found in (exact, fast))
    evaluation = compare_scores(scores, other, _task(spec, model))
    difference = np.abs(np.stack([pixels[0][row].astype(np.int16) - pixels[1][row] for row in both]))
    return PreprocessComparison(
        settings=settings,
        sampled=len(payloads),
        unusable=len(payloads) - len(either),
        one_sided=len(either) - len(both),
        agreement=evaluation.agreement * len(both) / len(either),
        evaluation=evaluation,
        mean_pixel_difference=float(difference.mean()),
        max_pixel_difference=int(difference.max()),
        exact=costs[0],
        fast=costs[1],
    )


def fast_settings(preprocess: object) -> dict[str, Any]:
    """Return the settings that trade exactness for speed.

    :param preprocess: a spec's preprocessing
    :raises SpecError: if there are none
    """
    settings = {
        name: value for name, exact in EXACT.items() if (value := getattr(preprocess, name, exact)) != exact
    }
    if not settings:
        raise SpecError(
            "The spec has no fast preprocessing to compare: for preprocess.kind 'image' set "
            "preprocess.resize_backend to 'torch' or preprocess.scaled_decode to true"
        )
    return settings


def _sampled(source: RecordSource, count: int, seed: int, *, blocks: bool) -> list[bytes]:
    """Return the payloads of records chosen by chance, in the order of the source."""
    total = source.count()
    length = _BLOCK if blocks else 1
    starts = range(0, total, length)
    chosen = random.Random(seed).sample(starts, min(len(starts), -(-count // length)))  # noqa: S311 - no secret
    payloads: list[bytes] = []
    with IngestStage(source, batch_rows=length, workers=1) as stage:
        for start in sorted(chosen):
            for output in stage.read(start, min(start + length, total)):
                payloads += output.batch.column("payload").to_pylist()
    if not payloads:
        raise SourceError(f"The source has {total} records, and none of those sampled can be read")
    return payloads[:count]


def _prepared(
    payloads: Sequence[bytes], ways: Sequence[ImageTransform]
) -> tuple[list[dict[int, Array]], list[DecodeCost]]:
    """Prepare each payload each way; the ways take turns, so that whatever else runs meets all of them."""
    pixels: list[dict[int, Array]] = [{} for _ in ways]
    cpu, wall = [0.0] * len(ways), [0.0] * len(ways)
    executor = SerialExecutor()
    for way in ways:  # imports, tables and caches
        way.prepare(payloads[:1], executor)
    for position, payload in enumerate(payloads):
        for turn in range(len(ways)):
            number = (position + turn) % len(ways)
            began, spent = time.perf_counter(), time.thread_time()
            columns, errors = ways[number].prepare([payload], executor)
            cpu[number] += time.thread_time() - spent
            wall[number] += time.perf_counter() - began
            if not errors:
                pixels[number][position] = array_tensor(columns[TENSOR])[0]
    count = len(payloads)
    return pixels, [DecodeCost(used / count, took / count) for used, took in zip(cpu, wall, strict=True)]


def _answers(
    spec: PipelineSpec, model: LoadedModel, transform: ImageTransform, pixels: dict[int, Array]
) -> dict[int, Array]:
    """Return the model's scores by the record's position."""
    import numpy as np
    import pyarrow as pa

    stage = InferenceStage(
        model.runtime, transform, make_head(spec, model.files), make_batcher(spec.execution, model.runtime)
    )
    answers: dict[int, Array] = {}
    positions, rows = list(pixels), spec.execution.batch_rows
    for start in range(0, len(positions), rows):
        part = positions[start : start + rows]
        names = pa.array([str(position) for position in part])
        tensors = tensor_array(np.stack([pixels[position] for position in part]))
        batch = pa.RecordBatch.from_arrays([names] * 3 + [tensors], names=["id", "uri", "sha256", TENSOR])
        good = stage.process(batch).batch
        scores = _scores(spec, model, array_tensor(good.column(OUTPUT)))
        answers.update(zip(map(int, good.column("id").to_pylist()), scores, strict=True))
    return answers


def _scores(spec: PipelineSpec, model: LoadedModel, output: Array) -> Array:
    task = _task(spec, model)
    if task == "image-classification":
        return softmax(output)
    return unit_vectors(output) if task == "text-embedding" else output


def _task(spec: PipelineSpec, model: LoadedModel) -> Task:
    """Return how answers are compared: by class, by nearest neighbour, or by their largest value."""
    settings = effective_postprocess(spec, model.files)
    if isinstance(settings, ClassificationSpec) and settings.activation == "softmax":
        return "image-classification"
    return "text-embedding" if isinstance(settings, EmbeddingSpec) else "other"
