"""Images whose decoder never returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pipelines import Site

from airflow_provider_aiopt.exceptions import StuckThreadsError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms import image

Run = Callable[[RunContext], Any]
MODES = pytest.mark.parametrize("run", [run_pipeline, run_streaming])


@pytest.fixture(autouse=True)
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the decoder hang on every file that begins with ``hang``."""
    released = threading.Event()
    decode = image.decode_image

    def hang_or_decode(payload: bytes, spec: ImagePreprocessSpec) -> np.ndarray:
        if payload.startswith(b"hang"):
            released.wait(60)
        return decode(payload, spec)

    monkeypatch.setattr(image, "decode_image", hang_or_decode)
    yield
    released.set()


@MODES
def test_they_are_quarantined_and_the_rest_goes_on(site: Site, run: Run) -> None:
    site.add_plain(20)
    for number in (3, 9, 15):
        site.add(f"{number:03d}.png", b"hang")
    context = site.context(execution__record_timeout_s=0.1, execution__batch_size=4, execution__shards=2)
    run(context)
    outcome = site.outcome()

    assert len(outcome.rows) == 17
    assert {(name, record.error_class) for name, record in outcome.bad.items()} == {
        (name, "RecordTimeoutError") for name in ("003.png", "009.png", "015.png")
    }
    assert outcome.bad["003.png"].message == (
        "Preparing the record was given up after 0.1 s, which is what execution.record_timeout_s allows"
    )


@MODES
def test_too_many_of_them_end_the_run(site: Site, run: Run) -> None:
    for number in range(40):
        site.add(f"{number:03d}.png", b"hang")
    context = site.context(execution__record_timeout_s=0.05, execution__batch_size=5)
    with pytest.raises(StuckThreadsError, match="17 records still hang"):
        run(context)
