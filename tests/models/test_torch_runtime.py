"""EfficientNet-Lite0 gives the same scores in PyTorch's own formats as in ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_fixtures import PHOTOGRAPHS
from PIL import Image

from airflow_provider_aiopt.optimize.models import load_efficientnet_lite0
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime
from airflow_provider_aiopt.runtimes.torch_runtime import TorchRuntime
from airflow_provider_aiopt.spec.model import TorchSpec


def _exported(module: Any, path: Path) -> Path:
    import torch

    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(module, (torch.rand(2, 3, 224, 224),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


def _script(module: Any, path: Path) -> Path:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.rand(2, 3, 224, 224)).save(str(path))
    return path


def _photographs() -> np.ndarray:
    paths = sorted(path for path in PHOTOGRAPHS.iterdir() if path.suffix in {".jpg", ".png"})
    images = [np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) for path in paths]
    return np.ascontiguousarray(((np.stack(images) - 127) / 128).transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("save", "name"), [(_exported, "m.pt2"), (_script, "m.pt")])
@pytest.mark.parametrize("channels_last", [False, True])
def test_scores_are_those_of_onnx_runtime(
    efficientnet_lite0_fp32: Path,
    tmp_path: Path,
    save: Callable[[Any, Path], Path],
    name: str,
    channels_last: bool,
) -> None:
    pixels = _photographs()
    onnx = OnnxRuntime(efficientnet_lite0_fp32 / "model.onnx", device="cpu")
    (expected,) = onnx.run({"image": pixels}).values()
    file = save(load_efficientnet_lite0(), tmp_path / name)
    runtime = TorchRuntime(file, device="cpu", options=TorchSpec(channels_last=channels_last))
    for rows in (len(pixels), 1):
        (answered,) = runtime.run({runtime.inputs[0].name: pixels[:rows]}).values()
        np.testing.assert_allclose(answered, expected[:rows], atol=1e-4)
