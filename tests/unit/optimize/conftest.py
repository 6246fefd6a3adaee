"""A tiny CNN and a tiny text model, in model folders as the exporters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires
from tiny_models import ONNX, make_card, tiny_cnn, write_images, write_tiny_cnn

from airflow_provider_aiopt.optimize.folder import write_card
from airflow_provider_aiopt.spec.card import TensorCard


def _text_model() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    tables = [
        numpy_helper.from_array(random.normal(size=(50, 16)).astype(np.float32), "table"),
        numpy_helper.from_array(random.normal(size=(16, 8)).astype(np.float32), "w"),
        numpy_helper.from_array(np.zeros((1, 1), dtype=np.int64), "zero"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["e"], name="embed"),
        helper.make_node("MatMul", ["e", "w"], ["last_hidden_state"], name="project"),
    ]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    )
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 8])
    graph = helper.make_graph(nodes, "text", [ids, mask], [out], tables[:2])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="session")
def cnn() -> Any:
    """Two convolutions, a depthwise one and a matrix product, as an ONNX model."""
    return tiny_cnn()


@pytest.fixture
def model_folder(cnn: Any, tmp_path: Path) -> Path:
    """The tiny CNN's model folder."""
    return write_tiny_cnn(tmp_path / "tiny")


@pytest.fixture
def text_model_folder(tmp_path: Path) -> Path:
    """A model folder with a one-layer text model and a tokenizer of whole words."""
    requires("onnx", ONNX)
    requires("tokenizers", ONNX)
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(_text_model().SerializeToString())
    words = {"[PAD]": 0, "[UNK]": 1, **{f"word{index}": index for index in range(2, 50)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    shape = ("batch", "sequence")
    card = make_card(
        folder / "model.onnx",
        task="text-embedding",
        inputs=tuple(
            TensorCard(name=name, dtype="int64", shape=shape) for name in ("input_ids", "attention_mask")
        ),
        outputs=(TensorCard(name="last_hidden_state", dtype="float32", shape=(*shape, 8)),),
        preprocess={"kind": "text", "max_length": 6},
        labels=None,
    )
    write_card(folder, card)
    return folder


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """Forty prepared images in an .npz file."""
    return write_images(tmp_path / "calibration.npz")
