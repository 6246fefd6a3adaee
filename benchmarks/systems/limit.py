"""The limit: CPU seconds of the decode and inference calls alone, one after the other, over the cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from airflow_provider_aiopt.spec import ExecutionSpec
from benchmarks.systems.parts import Classifier, Decoder
from benchmarks.systems.work import Outcome, Work, serve

T = TypeVar("T")
DEFAULT_BATCH = ExecutionSpec().batch_rows  # the package's own


def run(work: Work) -> Outcome:
    """Make the calls on a thread of its own.

    There the C library keeps freed memory; on the main thread it hands it back, and taking it anew for every
    image would make decoding half as dear again and the limit look easier to reach than it is.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, work).result()


def _run(work: Work) -> Outcome:
    """Time every call on the thread's own CPU clock, so that other processes do not count."""
    batch = int(work.options.get("batch_size", DEFAULT_BATCH))
    decoder, classifier = Decoder(work.model), Classifier(work.model, threads=1)
    timed = _Stopwatch()
    labels: dict[str, str] = {}
    scores: dict[str, float] = {}
    files = work.files()
    for start in range(0, len(files), batch):
        names = [Path(path).name for path in files[start : start + batch]]
        payloads = [Path(path).read_bytes() for path in files[start : start + batch]]
        pixels = np.stack([timed.call("decode", decoder, payload) for payload in payloads])
        values = timed.call("normalise", classifier.normalise, pixels)
        found, sure = classifier.best(timed.call("inference", classifier.infer, values))
        labels.update(zip(names, found, strict=True))
        scores.update(zip(names, sure, strict=True))
    seconds = (timed.seconds["decode"] + timed.seconds["inference"]) / work.cores
    # Normalising is not part of the limit: a faster way to do it would be a gain like any other.
    return Outcome(seconds, labels, scores, {"cpu_s": timed.seconds})


class _Stopwatch:
    def __init__(self) -> None:
        self.seconds = {"decode": 0.0, "normalise": 0.0, "inference": 0.0}

    def call(self, part: str, function: Callable[..., T], argument: Any) -> T:
        began = time.thread_time()
        result = function(argument)
        self.seconds[part] += time.thread_time() - began
        return result


if __name__ == "__main__":
    serve(run)
