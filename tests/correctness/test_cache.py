"""Photographs through the cache: the same pixels, decoded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pipelines import Site, account

from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.stages.transforms import image


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every payload that is decoded."""
    calls: list[bytes] = []
    decode = image.decode_image

    def watch(payload: bytes, spec: Any) -> np.ndarray:
        calls.append(payload)
        return decode(payload, spec)

    monkeypatch.setattr(image, "decode_image", watch)
    return calls


@pytest.mark.parametrize("run", [run_pipeline, run_streaming])
def test_a_second_run_decodes_nothing_and_sees_the_same_pixels(
    run: Any, tmp_path: Path, decoded: list[bytes]
) -> None:
    site = Site(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(10):
        pixels = rng.integers(0, 256, (20, 30 + number, 3), dtype=np.uint8)
        site.add(f"{number}.jpg", Image.fromarray(pixels), "JPEG")
    outcomes = []
    for run_id, cached in (("plain", False), ("cold", True), ("warm", True), ("more", True)):
        if run_id == "more":
            site.add("0-new.png", Image.new("RGB", (9, 9), (1, 2, 3)))
            site.add("5-bad.jpg", b"no image")
        decoded.clear()
        options = {"cache__uri": str(tmp_path / "cache")} if cached else {}
        context = site.context(run_id, execution__batch_size=4, **options)
        run(context)
        outcomes.append((account(context.workspace.root, results_folder(context)), len(decoded)))

    assert [calls for _, calls in outcomes] == [10, 10, 0, 2]
    plain = outcomes[0][0]
    for outcome, _ in outcomes[1:]:
        assert outcome.rows | plain.rows == outcome.rows
    assert outcomes[-1][0].colour("0-new.png") == (1, 2, 3)
    assert set(outcomes[-1][0].bad) == {"5-bad.jpg"}
