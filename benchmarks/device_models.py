"""The models of the GPU benchmark: half precision, with the normalisation on the device.

Both take the pixels as they lie in the cache of prepared records, uint8 ``[batch, 224, 224, 3]``: a quarter
of the bytes of normalised floats to copy, and nothing for the host to compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.models import fp32_model
from benchmarks.paths import CACHE

INPUT = "pixels"


def preprocess(fp32: Path) -> dict[str, Any]:
    """Return the ``preprocess`` section for models that take pixels.

    :param fp32: the FP32 model's folder
    """
    from airflow_provider_aiopt.spec.card import load_card

    return {**load_card(fp32).preprocess, "layout": "nhwc"}


def onnx_fp16() -> Path:
    """Return the ONNX file in FP16 with pixels as input and FP32 logits as output, making it where needed."""
    fp32 = Path(fp32_model())
    file = CACHE / "efficientnet_lite0_fp16.onnx"
    if not file.exists():
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        from airflow_provider_aiopt.spec.card import load_card

        card = load_card(fp32)
        model = onnx.load(str(fp32 / card.file))
        take_pixels(model, card.preprocess)
        half = convert_float_to_float16(model, keep_io_types=True)
        _write(file, half.SerializeToString())
    return file


def take_pixels(model: Any, wanted: Mapping[str, Any]) -> None:
    """Put the layout and the normalisation before an image model's input.

    :param model: an ONNX model with one input, float32 ``[batch, 3, height, width]``; changed in place
    :param wanted: the ``preprocess`` section of its card
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    image = graph.input[0]
    batch, _, height, width = image.type.tensor_type.shape.dim
    shape = [batch.dim_param or batch.dim_value, height.dim_value, width.dim_value, 3]
    for key in ("mean", "std"):
        values = np.array(wanted[key], np.float32).reshape(1, 3, 1, 1)
        graph.initializer.append(numpy_helper.from_array(values, f"{INPUT}_{key}"))
    nodes = [
        helper.make_node("Transpose", [INPUT], [f"{INPUT}_nchw"], perm=[0, 3, 1, 2], name="pixels_layout"),
        helper.make_node(
            "Cast", [f"{INPUT}_nchw"], [f"{INPUT}_float"], to=TensorProto.FLOAT, name="pixels_cast"
        ),
        helper.make_node(
            "Sub", [f"{INPUT}_float", f"{INPUT}_mean"], [f"{INPUT}_centred"], name="pixels_centre"
        ),
        helper.make_node("Div", [f"{INPUT}_centred", f"{INPUT}_std"], [image.name], name="pixels_scale"),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    graph.input.remove(image)
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape))


def torch_program() -> Path:
    """Return the exported PyTorch program with pixels as input, made where needed; autocast halves it."""
    file = CACHE / "efficientnet_lite0_pixels.pt2"
    if not file.exists():
        import torch

        from airflow_provider_aiopt.optimize.models import load_efficientnet_lite0

        wanted = preprocess(Path(fp32_model()))

        class Pixels(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
            def __init__(self) -> None:
                super().__init__()
                self.model = load_efficientnet_lite0()
                self.register_buffer("mean", torch.tensor(wanted["mean"]).reshape(1, 3, 1, 1))
                self.register_buffer("std", torch.tensor(wanted["std"]).reshape(1, 3, 1, 1))

            def forward(self, pixels: Any) -> Any:
                images = pixels.permute(0, 3, 1, 2).float()
                return self.model((images - self.mean) / self.std)

        example = torch.zeros((2, wanted["size"], wanted["size"], 3), dtype=torch.uint8)
        axes = {0: torch.export.Dim("batch", min=1)}
        program = torch.export.export(Pixels().eval(), (example,), dynamic_shapes=(axes,))
        partial = file.with_name(f"partial-{file.name}")
        torch.export.save(program, partial)
        partial.replace(file)
    return file


def _write(file: Path, content: bytes) -> None:
    partial = file.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(file)
