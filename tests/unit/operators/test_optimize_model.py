from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_fakes import FakeTaskInstance, task_context
from tiny_models import OPEN_GATE, write_images, write_tiny_cnn

from airflow_provider_aiopt import CompareModelsOperator, OptimizeModelOperator
from airflow_provider_aiopt.spec.card import load_card


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of the run that the tasks belong to."""
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "work"))
    return tmp_path / "work" / "dag" / "run"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_cnn(tmp_path / "tiny")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images.npz")


def execute(operator: Any) -> Any:
    return operator.execute(task_context(FakeTaskInstance(operator.task_id)))


def optimise(model: Any, images: Any, **options: Any) -> Any:
    settings = {"method": "quantize", "gate": OPEN_GATE} | options
    return execute(
        OptimizeModelOperator(task_id="small", model=str(model), calibration=str(images), **settings)
    )


def test_it_writes_the_model_into_the_workspace_and_answers_a_small_summary(
    work: Path, model: Path, images: Path
) -> None:
    answer = optimise(model, images)
    folder = work / "models" / "small"
    assert answer["model"] == str(folder)
    card = load_card(folder)
    assert (answer["sha256"], answer["name"]) == (card.sha256, "tiny-int8")
    assert answer["size_bytes"]["after"] == (folder / "model.onnx").stat().st_size
    assert answer["agreement"] == card.evaluation["agreement"]
    assert set(answer["latency_s"]["1"]) == {"before", "after"}
    assert len(json.dumps(answer)) < 2048


def test_options_may_be_text_as_templates_give_them(work: Path, model: Path, images: Path) -> None:
    answer = optimise(
        model,
        images,
        method="prune",
        options={"kind": "structured", "amount": "0.3", "seed": "4"},
        gate={name: str(value) for name, value in OPEN_GATE.items()},
    )
    assert answer["method"].startswith("8 of 24 removable channels")
    assert "--seed 4" in load_card(Path(answer["model"])).command


def test_fp16_takes_data_to_judge_by_alone(work: Path, model: Path, images: Path, tmp_path: Path) -> None:
    operator = OptimizeModelOperator(
        task_id="half",
        method="fp16",
        model=str(model),
        evaluation=str(images),
        output_uri=str(tmp_path / "out"),
    )
    assert execute(operator)["precision"] == "fp16"
    assert load_card(tmp_path / "out").precision == "fp16"


def test_a_refused_model_fails_without_retries_and_leaves_what_was_there(
    work: Path, model: Path, images: Path
) -> None:
    first = optimise(model, images)
    with pytest.raises(AirflowFailException, match=r"ModelAccuracyError: tiny-int8 differs too much"):
        optimise(model, images, gate={"max_score_error": 1e-9})
    assert load_card(Path(first["model"])).sha256 == first["sha256"]


def test_a_refused_model_can_be_skipped_instead(work: Path, model: Path, images: Path) -> None:
    with pytest.raises(AirflowSkipException, match="differs too much"):
        optimise(model, images, gate={"max_score_error": 1e-9}, on_refusal="skip")
    assert not (work / "models").exists() or not list((work / "models").iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "distil"}, r"method is 'distil'; there is: export, quantize, prune, fp16, tensorrt"),
        ({"options": {"bits": 4}}, r"options of quantize: there is no bits; there is: crops"),
        ({"options": {"seed": "x"}}, r"options of quantize: seed: .*found 'x'"),
        ({"method": "prune"}, r"options of prune: kind: .*amount: "),
        ({"method": "tensorrt", "options": {"bits": 4}}, r"options of tensorrt: there is no bits"),
        ({"gate": {"agreement": 1}}, r"gate: there is no agreement; there is: max_accuracy_drop"),
    ],
)
def test_what_makes_no_sense_fails_at_once(
    work: Path, model: Path, images: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        optimise(model, images, **options)


class TestObjectStore:
    """fsspec's file system in memory stands in for a bucket: it has no local paths either."""

    @pytest.fixture
    def bucket(self, model: Path, images: Path) -> Any:
        memory = fsspec.filesystem("memory")
        memory.put(f"{model}/", "/bucket/tiny/", recursive=True)
        memory.put_file(str(images), "/bucket/data/images.npz")
        yield memory
        memory.rm("/bucket", recursive=True)

    def test_model_data_and_output_may_lie_there(self, work: Path, bucket: Any, tmp_path: Path) -> None:
        answer = optimise(
            "memory://bucket/tiny", "memory://bucket/data/images.npz", output_uri="memory://bucket/out"
        )
        assert answer["model"] == "memory://bucket/out"
        names = sorted(path.rpartition("/")[2] for path in bucket.ls("/bucket/out", detail=False))
        assert names == ["LICENSE", "README.md", "labels.txt", "model.json", "model.onnx"]
        bucket.get("/bucket/out/", f"{tmp_path}/copy/", recursive=True)
        card = load_card(tmp_path / "copy")
        assert card.sha256 == answer["sha256"]
        assert card.command.startswith("aiopt model quantize tiny --output out --calibration images.npz")

    def test_a_refused_model_is_not_written_there(self, work: Path, bucket: Any) -> None:
        with pytest.raises(AirflowFailException, match="differs too much"):
            optimise(
                "memory://bucket/tiny",
                "memory://bucket/data/images.npz",
                output_uri="memory://bucket/out",
                gate={"max_score_error": 1e-9},
            )
        assert not bucket.exists("/bucket/out")

    @pytest.mark.parametrize(
        ("folder", "data", "message"),
        [
            ("memory://bucket/none", "memory://bucket/data/images.npz", "is no model folder"),
            ("memory://bucket/tiny", "memory://bucket/none", "There are no data at memory://bucket/none"),
        ],
    )
    def test_what_is_not_there_is_named(
        self, work: Path, bucket: Any, folder: str, data: str, message: str
    ) -> None:
        with pytest.raises((AirflowFailException, OSError), match=message):
            optimise(folder, data)


class TestCompare:
    def compare(self, models: list[Any], images: Path, **options: Any) -> Any:
        settings = {
            "gate": OPEN_GATE,
            "options": {"rounds": "2", "calls": 1, "batch_sizes": [1, 4]},
        } | options
        return execute(CompareModelsOperator(task_id="compare", models=models, data=str(images), **settings))

    def test_the_best_is_published_with_its_card(
        self, work: Path, model: Path, images: Path, tmp_path: Path
    ) -> None:
        pruned = optimise(model, images, method="prune", options={"kind": "structured", "amount": 0.3})
        answer = self.compare(
            [str(model), pruned, None], images, choose="size", publish=str(tmp_path / "best")
        )
        assert answer["best"] == pruned["model"]
        assert answer["sha256"] == load_card(tmp_path / "best").sha256 == pruned["sha256"]
        assert [item["model"] for item in answer["models"]] == [str(model), pruned["model"]]
        assert answer["models"][0]["agreement"] == 1
        report = json.loads(Path(answer["report_uri"]).read_text())
        assert report["models"][1]["evaluation"]["n"] == 40
        assert len(json.dumps(answer)) < 2048

    def test_a_model_beyond_the_gate_is_never_the_best(self, work: Path, model: Path, images: Path) -> None:
        pruned = optimise(model, images, method="prune", options={"kind": "structured", "amount": 0.3})
        answer = self.compare(
            [str(model), pruned],
            images,
            choose="size",
            gate={"max_score_error": 1e-9},
            publish="memory://x/y",
        )
        assert answer["best"] == str(model)
        assert answer["models"][1]["faults"]
        assert fsspec.filesystem("memory").exists("/x/y/model.json"), "the original is what is published"

    def test_what_makes_no_sense_fails_at_once(self, work: Path, model: Path, images: Path) -> None:
        with pytest.raises(AirflowFailException, match="choose is 'price'; give 'latency' or 'size'"):
            self.compare([str(model)], images, choose="price")
        with pytest.raises(AirflowFailException, match="models is empty"):
            self.compare([None], images)
