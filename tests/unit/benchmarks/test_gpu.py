from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from benchmarks import gpu, nvidia
from benchmarks.device_models import take_pixels


def test_without_a_gpu_it_says_so_and_ends_with_a_status_of_its_own(monkeypatch, capsys):
    def no_library(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(nvidia.ctypes, "CDLL", no_library)

    with pytest.raises(SystemExit) as ended:
        gpu.main([])

    assert ended.value.code == nvidia.NO_GPU
    said = capsys.readouterr().err
    assert "needs an NVIDIA GPU" in said
    assert "--device cpu" in said
    assert len(said.splitlines()) == 1


def test_configurations_that_round_otherwise_agree_and_others_do_not():
    same = {str(number): "cat" for number in range(100)}

    found = gpu.disagreements(
        {"cuda": same, "torch": same | {"0": "dog"}, "other": same | dict.fromkeys("012", "dog")}
    )

    assert found == {"other": 0.97}


def test_a_model_that_takes_pixels_answers_as_before(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = ["batch", 3, 4, 5]
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0)],
        "means",
        [helper.make_tensor_value_info("image", kinds.FLOAT, shape)],
        [helper.make_tensor_value_info("means", kinds.FLOAT, ["batch", 3])],
        [helper.make_tensor("axes", kinds.INT64, [2], [2, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    mean, std = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]

    take_pixels(model, {"mean": mean, "std": std})

    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels})
    expected = ((pixels - np.array(mean)) / std).mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
