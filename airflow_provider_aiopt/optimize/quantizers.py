"""INT8 forms of an ONNX model: static for CNNs, dynamic for transformers."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import ModelLoadError
from airflow_provider_aiopt.optimize.graph import name_nodes, strip_debug_information
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.rounding import refine_weights
from airflow_provider_aiopt.optimize.sessions import batches

if TYPE_CHECKING:
    import numpy as np

    Feeds = Mapping[str, np.ndarray[Any, Any]]

_PURPOSE = "Quantising a model"


def quantize_cnn(source: Path, target: Path, feeds: Feeds, *, reduce_range: bool) -> None:
    """Write a static INT8 form of a convolutional model: weights per channel, activations per tensor.

    Activations are uint8 and weights int8, the pair that VNNI multiplies directly.

    :param source: the FP32 model
    :param target: where to write the INT8 model
    :param feeds: calibration records, a tensor for each input
    :param reduce_range: whether to keep weights to 7 bits, for CPUs without VNNI, whose 16-bit sums saturate
    :raises MissingExtraError: if onnx or ONNX Runtime is not installed
    :raises ModelLoadError: if ONNX Runtime cannot read the model
    """
    onnx = require("onnx", _PURPOSE)
    tools = require("onnxruntime.quantization", _PURPOSE)
    with tempfile.TemporaryDirectory() as scratch:
        prepared, plain = Path(scratch) / "prepared.onnx", Path(scratch) / "quantised.onnx"
        with _quiet(source):
            _prepare(source, prepared)
            tools.quantize_static(
                str(prepared),
                str(plain),
                _Reader(feeds),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=reduce_range,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                # The span of what was seen.  Cutting outliers off at a percentile was tried: once the weights
                # are rounded with care it gains nothing, and takes four times as long.
                calibrate_method=tools.CalibrationMethod.MinMax,
                # One batch after the other: all records at once would need all their activations in memory.
                extra_options={"CalibStridedMinMax": 1},
            )
        quantised = onnx.load(str(plain))
        refine_weights(onnx.load(str(prepared)), quantised, feeds)
    strip_debug_information(quantised)
    onnx.save(quantised, str(target))


def quantize_transformer(source: Path, target: Path, *, reduce_range: bool) -> None:
    """Write a dynamic INT8 form of a model made of matrix products; it needs no calibration.

    :param source: the FP32 model
    :param target: where to write the INT8 model
    :param reduce_range: whether to keep weights to 7 bits, for CPUs without VNNI
    :raises MissingExtraError: if onnx or ONNX Runtime is not installed
    :raises ModelLoadError: if ONNX Runtime cannot read the model
    """
    onnx = require("onnx", _PURPOSE)
    tools = require("onnxruntime.quantization", _PURPOSE)
    with tempfile.TemporaryDirectory() as scratch:
        prepared, plain = Path(scratch) / "prepared.onnx", Path(scratch) / "quantised.onnx"
        with _quiet(source):
            _prepare(source, prepared)
            tools.quantize_dynamic(
                str(prepared),
                str(plain),
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=tools.QuantType.QInt8,
            )
        quantised = onnx.load(str(plain))
    strip_debug_information(quantised)
    onnx.save(quantised, str(target))


def _prepare(source: Path, prepared: Path) -> None:
    """Fold constants, infer shapes, and name the nodes by which the two models will be matched."""
    # Symbolic shape inference would need sympy, fails on transformers that the exporter wrote, and changes
    # nothing for CNNs.
    tools = require("onnxruntime.quantization.shape_inference", _PURPOSE)
    tools.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    onnx = require("onnx", _PURPOSE)
    model = onnx.load(str(prepared))
    name_nodes(model)
    onnx.save(model, str(prepared))


class _Reader:
    """Records as ONNX Runtime's calibrator reads them: by numbered batches."""

    def __init__(self, feeds: Feeds) -> None:
        self._batches = list(batches(feeds))
        self._rest = iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._rest = iter(self._batches[start_index:end_index])

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self._rest, None)


@contextlib.contextmanager
def _quiet(source: Path) -> Iterator[None]:
    """Keep the quantiser's progress off the terminal, and turn its many errors into one of ours."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except Exception as error:
        raise ModelLoadError(f"ONNX Runtime cannot quantise {source.name}: {error}") from error
    finally:
        root.setLevel(level)
