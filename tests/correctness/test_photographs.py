"""Real photographs get the right names, and the same scores whichever way the pipeline is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
from dag_test import ROOT, DagTester
from PIL import Image

from airflow_provider_aiopt.runtimes.files import BUILTIN_MODELS

pytestmark = pytest.mark.integration

PHOTOGRAPHS = ROOT / "examples" / "photographs"
SHOWN = {
    "chelsea.png": {"Egyptian cat", "tiger cat", "tabby"},
    "coffee.png": {"espresso"},
    "motorcycle_left.png": {"moped"},
    "china.jpg": {"palace"},
    "flower.jpg": {"daisy"},
}
Answers = dict[str, dict[str, float]]


@pytest.fixture(scope="module", params=["INT8, shipped", "FP32"])
def model(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """How a spec calls the model, and its folder."""
    if request.param == "FP32":
        folder = request.getfixturevalue("efficientnet_lite0_fp32")
        return str(folder), folder
    return "builtin:efficientnet-lite0-int8", BUILTIN_MODELS / "efficientnet_lite0_int8"


@pytest.fixture(scope="module")
def direct(model: tuple[str, Path]) -> Answers:
    """ONNX Runtime alone, with the preprocessing that the model's authors describe, written here anew."""
    _, folder = model
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    labels = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    answers = {}
    for path in sorted(PHOTOGRAPHS.glob("*.*g")):
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        width, height = rgb.size
        side = int(0.875 * min(width, height))
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        square = rgb.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
        pixels = (np.asarray(square, np.float32) - 127) / 128
        (logits,) = session.run(None, {"image": pixels.transpose(2, 0, 1)[None]})
        exponentials = np.exp(logits[0].astype(np.float64) - logits.max())
        scores = exponentials / exponentials.sum()
        best = np.argsort(-scores, kind="stable")[:5]  # quantised outputs have ties
        answers[path.name] = {labels[index]: float(scores[index]) for index in best}
    return answers


@pytest.fixture(scope="module")
def operators(model: tuple[str, Path], dag_tester: DagTester) -> Answers:
    """The four operators, each stage and shard a task."""
    uri, _ = model
    workspace = dag_tester.test("image_classification", {"model": uri, "shards": 4, "batch_size": 2})
    return read(workspace / "results")


@pytest.fixture(scope="module")
def command(model: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """``aiopt run``, as the README shows it."""
    uri, _ = model
    work = tmp_path_factory.mktemp("work")
    spec = ROOT / "examples" / "image_classification.yaml"
    options = ["--set", f"model.uri={uri}", "--work-dir", str(work), "--run-id", "r"]
    aiopt = Path(sys.executable).with_name("aiopt")
    subprocess.run([aiopt, "run", spec, *options], check=True, stdout=subprocess.PIPE)
    return read(work / "image_classification" / "r" / "results")


def read(folder: Path) -> Answers:
    rows = pq.read_table(folder).to_pylist()
    for row in rows:
        assert (row["label"], row["score"]) == tuple(row["top_k"][0].values())
    return {row["id"]: {item["label"]: item["score"] for item in row["top_k"]} for row in rows}


@pytest.mark.parametrize("way", ["direct", "operators", "command"])
def test_the_best_label_is_what_the_photograph_shows(
    way: str, model: tuple[str, Path], request: pytest.FixtureRequest
) -> None:
    answers: Answers = request.getfixturevalue(way)
    for name, labels in SHOWN.items():
        assert next(iter(answers[name])) in labels, name


@pytest.mark.parametrize("way", ["operators", "command"])
def test_every_way_gives_the_same_scores(way: str, direct: Answers, request: pytest.FixtureRequest) -> None:
    answers: Answers = request.getfixturevalue(way)
    assert answers.keys() == direct.keys()
    assert len(answers) == len(list(PHOTOGRAPHS.glob("*.*g")))
    for name, expected in direct.items():
        assert list(answers[name]) == list(expected)
        assert list(answers[name].values()) == pytest.approx(list(expected.values()), abs=1e-5)
