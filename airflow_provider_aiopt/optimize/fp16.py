"""Converting a model folder to FP16 behind an accuracy gate."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import ModelLoadError, SpecError
from airflow_provider_aiopt.optimize.graph import name_nodes, strip_debug_information
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.options import OptimizeOptions
from airflow_provider_aiopt.optimize.publishing import Method, OptimizeReport, publish
from airflow_provider_aiopt.optimize.samples import Samples

_PURPOSE = "Converting a model to FP16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp16Options(OptimizeOptions):
    """What ``aiopt model fp16`` takes, beside what every optimisation does.

    :param keep: types of operators that stay in FP32, such as ``Softmax``, and names of single nodes
    """

    keep: tuple[str, ...] = ()


def convert_model(options: Fp16Options) -> OptimizeReport:
    """Convert a model folder to FP16, compare it with the original, and write it if it passes the gate.

    Inputs and outputs keep their types, so that the new model takes the old one's place.

    :param options: what to convert, the data to judge by, and what is allowed
    :returns: what changed
    :raises SpecError: if :attr:`Fp16Options.keep` names what is not in the graph
    :raises ModelError: and others, as :func:`~.publishing.publish` has them
    """
    return publish(options, halving(options))


def halving(options: Fp16Options) -> Method:
    """Return the method that *options* ask for."""

    def apply(source: Path, target: Path, _: Samples | None) -> str:
        onnx = require("onnx", _PURPOSE)
        model = onnx.load(str(source))
        converted = convert_graph(model, options.keep)
        strip_debug_information(converted)
        onnx.save(converted, str(target))
        kept = f"; in FP32: {', '.join(options.keep)}" if options.keep else ""
        return f"FP16 weights and activations, inputs and outputs as they were{kept}"

    return Method(
        command="fp16",
        suffix="fp16",
        precision="fp16",
        apply=apply,
        words=tuple(word for name in options.keep for word in ("--keep", name)),
        needs_calibration=False,
        remedy="keep what overflows or loses digits in FP32 (--keep Softmax)",
    )


def convert_graph(model: Any, keep: tuple[str, ...] = ()) -> Any:
    """Return *model* in FP16, with inputs and outputs of the types that it had.

    :param model: an ONNX model in FP32; it may be changed
    :param keep: types of operators, and names of nodes, that stay in FP32
    :raises SpecError: if *keep* names what is not in the graph
    :raises ModelLoadError: if the converter fails
    """
    tools = require("onnxruntime.transformers.float16", _PURPOSE)
    name_nodes(model)
    types = {node.op_type for node in model.graph.node}
    names = {node.name for node in model.graph.node}
    unknown = [name for name in keep if name not in types | names]
    if unknown:
        raise SpecError(
            f"--keep names what is not in the graph: {', '.join(unknown)}. Its operators are: "
            f"{', '.join(sorted(types))}; a node is named as in the model file"
        )
    blocked = [*tools.DEFAULT_OP_BLOCK_LIST, *(name for name in keep if name in types)]
    try:
        with _quiet():
            return tools.convert_float_to_float16(
                model,
                keep_io_types=True,
                op_block_list=blocked,
                node_block_list=[name for name in keep if name in names],
            )
    except Exception as error:  # the converter raises whatever it stumbles over
        raise ModelLoadError(f"ONNX Runtime's converter cannot make this model FP16: {error}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep its warnings about single small weights off the terminal: the gate judges what they do."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
