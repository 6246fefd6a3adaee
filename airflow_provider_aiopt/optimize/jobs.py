"""Optimisations as tasks have them: places by URI, options as plain values, a small summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from airflow_provider_aiopt.data.folder import FileSystemResolver
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.optimize.comparison import CompareOptions, ModelComparison, compare_models
from airflow_provider_aiopt.optimize.engines import EngineOptions, build_engines
from airflow_provider_aiopt.optimize.evaluation import DIGITS, AccuracyGate
from airflow_provider_aiopt.optimize.export import export_model
from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model
from airflow_provider_aiopt.optimize.options import OptimizeOptions
from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model
from airflow_provider_aiopt.optimize.publishing import OptimizeReport
from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model
from airflow_provider_aiopt.optimize.remote import copy_model, local_data, local_model, published

MethodName = Literal["export", "quantize", "prune", "fp16", "tensorrt"]

_OPTIONS: Mapping[str, type[OptimizeOptions]] = {
    "quantize": QuantizeOptions,
    "prune": PruneOptions,
    "fp16": Fp16Options,
}
_PLACES = frozenset({"model", "output", "calibration", "evaluation", "gate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeJob:
    """What an optimisation does, and where.

    :param method: ``export``, ``quantize``, ``prune``, ``fp16`` or ``tensorrt``
    :param model: path or URL of the model folder; for ``export`` a name of the catalogue
    :param output: path or URL of the model folder to write; ``tensorrt`` writes none
    :param calibration: path or URL of data that the method looks at
    :param evaluation: path or URL of data to judge by
    :param options: further parameters of the method's options, such as ``kind`` and ``amount``
    :param gate: parameters of :class:`~.evaluation.AccuracyGate`
    """

    method: str
    model: str
    output: str
    calibration: str | None = None
    evaluation: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)


def run_job(job: OptimizeJob, resolver: FileSystemResolver) -> dict[str, Any]:
    """Do what *job* says.

    :param job: the method, its places and options
    :param resolver: how to find file systems
    :returns: where the model lies, its hash, method and size, and what was measured, as JSON values
    :raises SpecError: if the method or an option makes no sense
    :raises ModelAccuracyError: if the model differs too much from the original; then nothing is written
    :raises AioptError: and others, as :func:`~.publishing.publish` has them
    """
    if job.method not in get_args(MethodName):
        raise SpecError(f"method is {job.method!r}; there is: {', '.join(get_args(MethodName))}")
    with ExitStack() as stack:
        if job.method == "export":
            output = stack.enter_context(published(job.output, resolver))
            card = export_model(job.model, output)
            return {
                "model": job.output,
                "name": card.name,
                "sha256": card.sha256,
                "precision": card.precision,
            }
        places: dict[str, Any] = {"model": stack.enter_context(local_model(job.model, resolver))}
        for name in ("calibration", "evaluation"):
            uri = getattr(job, name)
            places[name] = stack.enter_context(local_data(uri, resolver)) if uri else None
        if job.method == "tensorrt":
            return _engines(job, places)
        places["output"] = stack.enter_context(published(job.output, resolver))
        options = read_options(job.method, places, job.options, job.gate)
        return summary(_optimise(options), job.output)


def read_options(
    method: str, places: Mapping[str, Any], options: Mapping[str, Any], gate: Mapping[str, Any]
) -> OptimizeOptions:
    """Build a method's options from plain values, which may be text.

    :param method: one of the optimisations
    :param places: folders and data on this machine
    :param options: parameters of the method
    :param gate: parameters of the gate
    :raises SpecError: naming what is unknown, missing or of the wrong kind, and what is allowed
    """
    kind = _OPTIONS[method]
    allowed = [item.name for item in fields(kind) if item.name not in _PLACES]
    _check_names(f"options of {method}", options, allowed)
    _check_names("gate", gate, [item.name for item in fields(AccuracyGate)])
    return _validated(kind, {**places, **options, "gate": dict(gate)}, f"options of {method}")  # type: ignore[no-any-return]


def _engines(job: OptimizeJob, places: Mapping[str, Any]) -> dict[str, Any]:
    """Build a model's engines on this machine; there is no folder to write."""
    allowed = [item.name for item in fields(EngineOptions) if item.name not in _PLACES]
    _check_names("options of tensorrt", job.options, allowed)
    values = {"model": places["model"], "evaluation": places["evaluation"], **job.options}
    options = _validated(EngineOptions, values | {"gate": dict(job.gate)}, "options of tensorrt")
    report = build_engines(options)
    return {
        "model": job.model,
        "name": report.model,
        "sha256": report.sha256,
        "engines": dict(report.files),
        "first_s": report.first_s,
        "again_s": report.again_s,
        **report.evaluation.figures(),
    }


def _optimise(options: OptimizeOptions) -> OptimizeReport:
    if isinstance(options, QuantizeOptions):
        return quantize_model(options)
    if isinstance(options, PruneOptions):
        return prune_model(options)
    assert isinstance(options, Fp16Options)  # noqa: S101 - there are no others
    return convert_model(options)


def summary(report: OptimizeReport, uri: str) -> dict[str, Any]:
    """Return what an optimisation changed, small enough for an XCom.

    :param report: what it returned
    :param uri: where the model lies
    """
    return {
        "model": uri,
        "name": report.card.name,
        "sha256": report.card.sha256,
        "precision": report.card.precision,
        "method": report.card.method,
        "size_bytes": {"before": report.before.size_bytes, "after": report.after.size_bytes},
        "latency_s": {
            str(size): {"before": time, "after": report.after.latency_s[size]}
            for size, time in report.before.latency_s.items()
        },
        **report.evaluation.figures(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareJob:
    """Which models to compare, and what becomes of the best.

    :param models: paths or URLs of model folders, the reference first
    :param data: path or URL of the data to run them on
    :param options: further parameters of :class:`~.comparison.CompareOptions`
    :param gate: parameters of :class:`~.evaluation.AccuracyGate`
    :param choose: what is best: the least ``latency`` (median, at the largest batch size) or ``size``
    :param publish: path or URL where the best is copied to; None for nowhere
    """

    models: Sequence[str]
    data: str
    options: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)
    choose: str = "latency"
    publish: str | None = None


def run_comparison(job: CompareJob, resolver: FileSystemResolver) -> tuple[ModelComparison, dict[str, Any]]:
    """Compare models, choose one, and publish it.

    :param job: which, and what counts
    :param resolver: how to find file systems
    :returns: all figures, and a small summary as JSON values
    :raises SpecError: if an option makes no sense
    :raises AioptError: and others, as :func:`~.comparison.compare_models` has them
    """
    if job.choose not in {"latency", "size"}:
        raise SpecError(f"choose is {job.choose!r}; give 'latency' or 'size'")
    if not job.models:
        raise SpecError("models is empty; give the model folders, the reference first")
    allowed = [item.name for item in fields(CompareOptions) if item.name not in {"models", "data", "gate"}]
    _check_names("options of compare", job.options, allowed)
    _check_names("gate", job.gate, [item.name for item in fields(AccuracyGate)])
    with ExitStack() as stack:
        models = [stack.enter_context(local_model(uri, resolver)) for uri in job.models]
        data = stack.enter_context(local_data(job.data, resolver))
        values = {"models": models, "data": data, **job.options, "gate": dict(job.gate)}
        comparison = compare_models(_validated(CompareOptions, values, "options of compare"))
    best = choose(comparison, job.choose)
    chosen = job.models[best]
    if job.publish:
        copy_model(chosen, job.publish, resolver)
    return comparison, comparison_summary(comparison, job.models) | {
        "best": chosen,
        "sha256": comparison.models[best].sha256,
        "published": job.publish,
    }


def choose(comparison: ModelComparison, by: str) -> int:
    """Return the place of the best model that the gate lets pass; the reference's where no other is better.

    :param comparison: the models, the reference first
    :param by: ``latency``, the median at the largest batch size, or ``size``
    """
    largest = max(comparison.models[0].latency)

    def cost(index: int) -> float:
        model = comparison.models[index]
        return model.latency[largest].p50_s if by == "latency" else model.size_bytes

    return min((index for index, model in enumerate(comparison.models) if not model.faults), key=cost)


def comparison_summary(comparison: ModelComparison, uris: Sequence[str]) -> dict[str, Any]:
    """Return a comparison's figures by model, small enough for an XCom.

    :param comparison: the models
    :param uris: where they lie
    """
    return {
        "models": [
            {
                "model": uri,
                "size_bytes": model.size_bytes,
                "p50_s": {str(size): round(latency.p50_s, 6) for size, latency in model.latency.items()},
                "p95_s": {str(size): round(latency.p95_s, 6) for size, latency in model.latency.items()},
                "agreement": round(model.evaluation.agreement, DIGITS) if model.evaluation else 1.0,
                "faults": list(model.faults),
            }
            for uri, model in zip(uris, comparison.models, strict=True)
        ]
    }


def _check_names(what: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise SpecError(f"{what}: there is no {', '.join(unknown)}; there is: {', '.join(sorted(allowed))}")


def _validated(kind: Any, values: Mapping[str, Any], what: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, found {fault['input']!r:.80}"
            for fault in error.errors()
        )
        raise SpecError(f"{what}: {faults}") from None
