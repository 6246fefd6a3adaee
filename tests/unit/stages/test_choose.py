from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.runtimes.files import ModelFiles
from airflow_provider_aiopt.spec import (
    ClassificationSpec,
    EmbeddingSpec,
    PipelineSpec,
    RawOutputSpec,
    load_spec,
)
from airflow_provider_aiopt.spec.card import ModelCard, TensorCard
from airflow_provider_aiopt.stages.choose import (
    effective_postprocess,
    effective_preprocess,
    load_pipeline_model,
    make_batcher,
    make_head,
    make_transform,
    process_initializer,
)
from airflow_provider_aiopt.stages.outputs.classification import ClassificationHead
from airflow_provider_aiopt.stages.outputs.vectors import EmbeddingHead, RawHead
from airflow_provider_aiopt.stages.transforms.custom import CustomTransform
from airflow_provider_aiopt.stages.transforms.image import ImageTransform
from airflow_provider_aiopt.stages.transforms.tabular import TabularTransform


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    file = linear_model(tmp_path / "model.onnx", np.ones((2, 2)))
    return ModelFiles("m", file, "0" * 64, None, Folder.open(str(tmp_path)))


def with_card(files: ModelFiles, **values: Any) -> ModelFiles:
    tensor = TensorCard(name="x", dtype="float32", shape=("batch", 2))
    card = {
        "name": "m",
        "task": "other",
        "file": "model.onnx",
        "sha256": "0" * 64,
        "licence": "MIT",
        "source": (),
        "command": "none",
        "precision": "fp32",
        "opset": 17,
        "inputs": (tensor,),
        "outputs": (tensor,),
    }
    return ModelFiles(
        files.uri, files.file, files.sha256, ModelCard.model_validate(card | values), files.folder
    )


def spec(**sections: Any) -> PipelineSpec:
    return load_spec({"source": {"uri": "data"}, "model": {"uri": "m"}} | sections)


def test_the_spec_comes_before_the_card(files: ModelFiles) -> None:
    carded = with_card(files, preprocess={"kind": "image", "size": 32}, task="image-classification")
    asked = spec(preprocess={"kind": "image", "size": 8}, postprocess={"kind": "raw"})
    assert effective_preprocess(asked, carded) == asked.preprocess
    assert effective_postprocess(asked, carded) == RawOutputSpec()


def test_the_card_says_what_the_spec_leaves_out(files: ModelFiles) -> None:
    carded = with_card(files, preprocess={"kind": "image", "size": 32})
    assert effective_preprocess(spec(), carded).size == 32


def test_a_bare_file_needs_a_spec_that_says(files: ModelFiles) -> None:
    with pytest.raises(SpecError, match=r"preprocess: missing, .*Set preprocess\.kind to image"):
        effective_preprocess(spec(), files)


def test_a_cards_section_must_fit_the_source_as_if_the_user_had_written_it(files: ModelFiles) -> None:
    rows = spec(source={"uri": "data", "format": "csv", "columns": ["a", "b"]})
    with pytest.raises(SpecError, match="takes one column"):
        effective_preprocess(rows, with_card(files, preprocess={"kind": "text"}))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("image-classification", ClassificationSpec()),
        ("text-embedding", EmbeddingSpec()),
        ("other", RawOutputSpec()),
    ],
)
def test_the_task_chooses_the_postprocessing(files: ModelFiles, task: str, expected: object) -> None:
    assert effective_postprocess(spec(), with_card(files, task=task)) == expected


def test_without_a_card_outputs_stay_as_they_are(files: ModelFiles) -> None:
    assert effective_postprocess(spec(), files) == RawOutputSpec()


def test_every_kind_has_its_transform_and_its_head(files: ModelFiles) -> None:
    rows = {"uri": "data", "format": "csv", "columns": ["a", "b"]}
    assert isinstance(make_transform(spec(preprocess={"kind": "image"}), files), ImageTransform)
    assert isinstance(
        make_transform(spec(source=rows, preprocess={"kind": "tabular"}), files), TabularTransform
    )
    for kind, head in (
        ("classification", ClassificationHead),
        ("embedding", EmbeddingHead),
        ("raw", RawHead),
    ):
        assert isinstance(make_head(spec(postprocess={"kind": kind}), files), head)


def test_the_runtime_of_a_model_of_images_knows_how_they_are_normalised(tmp_path: Path) -> None:
    images = {
        "model": {"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"},
        "preprocess": None,
    }
    assert load_pipeline_model(spec(**images)).runtime.normalisation == "host"

    linear_model(tmp_path / "rows.onnx", np.ones((2, 2)))
    rows = {
        "source": {"uri": "x", "format": "csv", "columns": ["a", "b"]},
        "model": {"uri": str(tmp_path / "rows.onnx"), "device": "cpu"},
        "preprocess": {"kind": "tabular"},
    }
    assert load_pipeline_model(spec(**rows)).runtime.normalisation is None


def test_a_custom_transform_is_loaded_where_it_is_allowed(files: ModelFiles) -> None:
    custom = {"kind": "custom", "transform": "sample_transforms.Plain", "arguments": {"version": "5"}}
    allowed = ("sample_transforms",)
    made = make_transform(spec(preprocess=custom), files, allowed_callables=allowed, parts=3)
    assert isinstance(made, CustomTransform)
    assert made.version == "custom 1, 5"
    with pytest.raises(SpecError, match="is not allowed here"):
        make_transform(spec(preprocess=custom), files)

    assert process_initializer(spec(preprocess=custom), files, allowed_callables=allowed) is None
    initializer = process_initializer(
        spec(preprocess=custom | {"processes": True}), files, allowed_callables=allowed
    )
    assert initializer is not None
    initializer()
    assert process_initializer(spec(preprocess={"kind": "image"}), files, allowed_callables=()) is None


@pytest.mark.parametrize(
    ("execution", "rows", "policy", "size"),
    [
        ({}, None, "fixed", 8),
        ({"batch_size": 8, "batching": {"pad_to": [2, 8]}}, None, "bucketed", 8),
        ({"batch_size": "auto"}, None, "fixed", 64),
        ({"batch_size": "auto", "batching": {"max_latency_ms": 5, "max_batch_size": 7}}, None, "fixed", 7),
        ({"batch_size": "auto"}, 4, "model", 4),
    ],
)
def test_the_spec_and_the_model_choose_how_batches_are_cut(
    execution: dict[str, Any], rows: int | None, policy: str, size: int
) -> None:
    runtime = SimpleNamespace(inputs=(TensorInfo("x", "float32", (rows, 2)),))
    facts = make_batcher(spec(execution=execution).execution, runtime).facts()
    assert (facts["policy"], facts["size"]) == (policy, size)
