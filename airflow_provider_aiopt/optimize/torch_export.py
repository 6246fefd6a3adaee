"""Exporting a PyTorch module to one ONNX file, checked against the module itself."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.optimize.graph import strip_debug_information
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.sessions import run_model

TOLERANCE = 1e-4
"""Largest difference that an exported model's outputs may have from the module's."""


def export_module(
    module: Any,
    inputs: Mapping[str, Any],
    *,
    outputs: Sequence[str],
    dynamic_axes: Mapping[int, str],
    file: Path,
) -> None:
    """Export *module* and compare the file's outputs with its own.

    :param module: a :class:`torch.nn.Module` in evaluation mode that takes *inputs* by position
    :param inputs: example tensors by name, in the order in which the module takes them
    :param outputs: names for the graph's outputs
    :param dynamic_axes: names of the axes of every input that may have any length
    :param file: where to write the model
    :raises MissingExtraError: if torch or onnx is not installed
    :raises ModelAccuracyError: if an output differs by more than :data:`TOLERANCE`
    """
    torch = require("torch", "Exporting a PyTorch model")
    require("onnxscript", "Exporting a PyTorch model")
    onnx = require("onnx", "Exporting a PyTorch model")
    axes = {axis: torch.export.Dim(name, min=1) for axis, name in dynamic_axes.items()}
    with _quiet():
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(axes for _ in inputs),
            verbose=False,
        )
    model = program.model_proto
    strip_debug_information(model)
    onnx.save(model, str(file))
    with torch.inference_mode():
        expected = module(*inputs.values()).numpy()
    _compare(file, {name: value.numpy() for name, value in inputs.items()}, expected)


def _compare(file: Path, feeds: Mapping[str, Any], expected: Any) -> None:
    error = float(abs(run_model(file, feeds)[0] - expected).max())
    if not error <= TOLERANCE:  # NaN fails too
        raise ModelAccuracyError(
            f"The exported model differs from the PyTorch module by up to {error:.3g}; allowed are "
            f"{TOLERANCE:.0e}. Nothing was written: export with other versions of torch and onnxscript"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and its warnings about its own internals off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
