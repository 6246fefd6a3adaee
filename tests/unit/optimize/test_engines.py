"""A runtime that writes engines as TensorRT's provider does stands in for a GPU: here there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import DeviceUnavailableError, ModelAccuracyError
from airflow_provider_aiopt.optimize.engines import EngineOptions, build_engines
from airflow_provider_aiopt.optimize.sessions import run_model
from airflow_provider_aiopt.runtimes.base import Normalisation, TensorInfo
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest
from airflow_provider_aiopt.spec.card import load_card


class FakeTensorrt:
    """Runs the model on the CPU, and builds an engine once, in the time of a minute."""

    def __init__(self, cache: Path, *, error: float = 0.0, pixels: bool = False) -> None:
        self.folder = cache / "aiopt" / "tensorrt" / "key"
        self.error, self.pixels = error, pixels
        self.now = 0.0
        self.sizes: list[int] = []
        self.asked: list[tuple[EngineRequest, Normalisation | None]] = []

    def open(self, file: Path, request: EngineRequest, normalisation: Normalisation | None) -> FakeTensorrt:
        self.file, self.normalisation = file, normalisation
        self.asked.append((request, normalisation))
        engine = self.folder / "model.engine"
        self.now += 1 if engine.exists() else 60
        self.folder.mkdir(parents=True, exist_ok=True)
        engine.write_bytes(b"engine")
        (self.folder / "tensorrt.timing").write_bytes(b"times")
        return self

    @property
    def description(self) -> str:
        return "onnxruntime 1 TensorrtExecutionProvider"

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        return (TensorInfo("image", "uint8", (None, 12, 12, 3), pixels=self.pixels),)

    def run(self, feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        self.sizes.append(len(feeds["image"]))
        image = feeds["image"]
        if self.pixels:
            assert image.dtype == np.uint8
            assert self.normalisation is not None
            image = ((image.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
        (logits,) = run_model(self.file, {"image": np.ascontiguousarray(image)})
        return {"logits": logits + self.error * np.arange(logits.shape[1])}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIOPT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def options(model_folder: Path, calibration: Path) -> EngineOptions:
    return EngineOptions(model=model_folder, evaluation=calibration, batch_sizes=(16, 1))


def test_engines_are_built_as_inference_asks_for_them_and_found_again(
    options: EngineOptions, cache: Path
) -> None:
    fake = FakeTensorrt(cache)
    report = build_engines(options, opener=fake.open, clock=lambda: fake.now)
    card = load_card(options.model)
    wanted = Normalisation((127.0,) * 3, (128.0,) * 3, "nchw")
    assert fake.asked == [(EngineRequest(card.sha256, (1, 16)), wanted)] * 2
    assert (report.first_s, report.again_s) == (60, 1)
    assert set(report.files) == {"model.engine", "tensorrt.timing"}
    assert report.evaluation.agreement == 1
    assert set(fake.sizes) == {1, 16}, "other sizes would ask for other engines"
    written = json.loads((fake.folder / "engines.json").read_text())
    assert (written["sha256"], written["gate"]["min_agreement"]) == (card.sha256, 0.95)


def test_engines_that_are_there_are_not_built_again(options: EngineOptions, cache: Path) -> None:
    fake = FakeTensorrt(cache)
    build_engines(options, opener=fake.open, clock=lambda: fake.now)
    again = build_engines(options, opener=fake.open, clock=lambda: fake.now)
    assert (again.folder, again.files, again.first_s) == ("", {}, 1)


def test_a_device_that_normalises_is_given_pixels(
    options: EngineOptions, cache: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 3, 12, 12))
    np.savez(tmp_path / "pixels.npz", image=((pixels - 127) / 128).astype(np.float32))
    fake = FakeTensorrt(cache, pixels=True)
    report = build_engines(
        replace(options, evaluation=tmp_path / "pixels.npz"), opener=fake.open, clock=lambda: fake.now
    )
    assert report.evaluation.max_score_error < 1e-5


def test_engines_that_answer_otherwise_are_removed(options: EngineOptions, cache: Path) -> None:
    kept = cache / "aiopt" / "tensorrt" / "other"
    kept.mkdir(parents=True)
    (kept / "old.engine").write_bytes(b"old")
    fake = FakeTensorrt(cache, error=50.0)
    with pytest.raises(ModelAccuracyError, match=r"tiny on TensorRT differs too much.*higher precision"):
        build_engines(options, opener=fake.open, clock=lambda: fake.now)
    assert [path.name for path in (cache / "aiopt" / "tensorrt").rglob("*")] == ["other", "old.engine"]


def test_a_machine_without_tensorrt_says_so_with_the_remedy(options: EngineOptions, cache: Path) -> None:
    with pytest.raises(
        DeviceUnavailableError,
        match=r"built on the machine that is to run them.*airflow-provider-aiopt\[gpu\]",
    ):
        build_engines(options)
    assert not cache.exists() or not list(cache.rglob("*.engine"))
