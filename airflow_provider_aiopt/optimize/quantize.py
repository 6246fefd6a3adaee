"""Quantising a model folder to INT8 behind an accuracy gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_provider_aiopt.optimize.graph import is_convolutional
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.options import OptimizeOptions
from airflow_provider_aiopt.optimize.publishing import Method, OptimizeReport, publish
from airflow_provider_aiopt.optimize.quantizers import quantize_cnn, quantize_transformer
from airflow_provider_aiopt.optimize.samples import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeOptions(OptimizeOptions):
    """What ``aiopt model quantize`` takes, beside what every optimisation does.

    :param reduce_range: whether to keep weights to 7 bits, for CPUs without VNNI
    """

    reduce_range: bool = False


def quantize_model(options: QuantizeOptions) -> OptimizeReport:
    """Quantise a model folder to INT8, compare it with the original, and write it if it passes the gate.

    A model with convolutions is quantised statically and its weights are rounded by what the layers really
    see; any other is quantised dynamically and needs the data for the comparison alone.

    :param options: what to quantise, with which data, and what is allowed
    :returns: what changed
    :raises ModelError: and others, as :func:`~.publishing.publish` has them
    """
    return publish(options, quantizing(options))


def quantizing(options: QuantizeOptions) -> Method:
    """Return the method that *options* ask for."""

    def apply(source: Path, target: Path, calibration: Samples | None) -> str:
        onnx = require("onnx", "Quantising a model")
        if calibration is not None and is_convolutional(onnx.load(str(source))):
            quantize_cnn(source, target, calibration.feeds, reduce_range=options.reduce_range)
            return _STATIC
        quantize_transformer(source, target, reduce_range=options.reduce_range)
        return _DYNAMIC

    return Method(
        command="quantize",
        suffix="int8",
        precision="int8",
        apply=apply,
        words=("--reduce-range",) if options.reduce_range else (),
        needs_calibration=True,
        remedy="give more calibration data that look like the real ones",
    )


_STATIC = "static INT8 (QDQ), weights per channel and rounded by what the layers see of the calibration data"
_DYNAMIC = "dynamic INT8: weights per channel, activations by what each call sees"
