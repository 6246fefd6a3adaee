"""Opening PyTorch's model files: exported programs and TorchScript, never a pickled module."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import ModelLoadError
from airflow_provider_aiopt.runtimes.base import TensorInfo

_ONLY_WEIGHTS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True, slots=True)
class TorchModel:
    """A model as its file has it.

    :param module: what is called with the tensors
    :param inputs: the inputs, in the order in which the module takes them
    :param outputs: the outputs; empty where the file does not name them
    :param keywords: how many of the inputs, the last ones, are passed by name
    """

    module: Any
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    keywords: int = 0

    def arguments(self, tensors: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments of a call."""
        names = [info.name for info in self.inputs]
        cut = len(names) - self.keywords
        return [tensors[name] for name in names[:cut]], {name: tensors[name] for name in names[cut:]}


def open_torch_file(file: Path, *, device: str, input_dtype: str) -> TorchModel:
    """Open a model file.

    Pickles within the file are read as tensors and nothing else, whatever PyTorch would do by itself.

    :param file: a ``.pt2`` file as :func:`torch.export.save` writes it; any other is read as TorchScript
    :param device: where its weights go
    :param input_dtype: element type of a TorchScript file's inputs
    :raises ModelLoadError: if PyTorch cannot read it, or it holds more than tensors
    """
    exported = file.suffix == ".pt2"
    kind = "an exported program" if exported else "TorchScript"
    try:
        with _tensors_only(), _quiet():
            return _open_exported(file, device) if exported else _open_script(file, device, input_dtype)
    except Exception as error:  # zip files, JSON, pickles and C++: each part has errors of its own
        raise ModelLoadError(
            f"PyTorch cannot load {file} as {kind}: {' '.join(str(error).split()) or type(error).__name__}. "
            "Write it with torch.export.save to a .pt2 file, or with torch.jit.save to a .pt or .ts file; "
            "pickled modules and state dicts are not loaded"
        ) from error


def name_outputs(names: Sequence[str], answer: Any) -> dict[str, Any]:
    """Return a module's answer by name: a mapping's own names, else *names*, else ``output_0`` and so on."""
    if isinstance(answer, Mapping):
        return dict(answer)
    values = list(answer) if isinstance(answer, tuple | list) else [answer]
    if len(names) != len(values):
        names = ["output"] if len(values) == 1 else [f"output_{index}" for index in range(len(values))]
    return dict(zip(names, values, strict=True))


def _open_exported(file: Path, device: str) -> TorchModel:
    import torch

    program = torch.export.load(file)
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    signature = program.graph_signature
    nodes = {node.name: node for node in program.graph.nodes}
    _, keywords = program.example_inputs or ((), {})
    return TorchModel(
        module=program.module(),
        inputs=tuple(_traced(nodes[name]) for name in signature.user_inputs),
        outputs=tuple(_traced(nodes[name]) for name in signature.user_outputs if name in nodes),
        keywords=len(keywords),
    )


def _traced(node: Any) -> TensorInfo:
    value = node.meta["val"]
    shape = tuple(axis if isinstance(axis, int) else None for axis in value.shape)
    return TensorInfo(node.name, str(value.dtype).removeprefix("torch."), shape)


def _open_script(file: Path, device: str, input_dtype: str) -> TorchModel:
    import torch

    module = torch.jit.load(str(file), map_location=device).eval()
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    return TorchModel(module, tuple(TensorInfo(name, input_dtype, None) for name in names), ())


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Make every ``torch.load`` within refuse code: that of an exported program falls back to unpickling."""
    before = os.environ.get(_ONLY_WEIGHTS)
    os.environ[_ONLY_WEIGHTS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ONLY_WEIGHTS]
        else:
            os.environ[_ONLY_WEIGHTS] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what the raised error says better, and that TorchScript is deprecated."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
