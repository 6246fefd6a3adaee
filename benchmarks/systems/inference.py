"""Inference alone: single-threaded calls on every core, on inputs that lie normalised in memory."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.systems.parts import Classifier, Decoder
from benchmarks.systems.work import Outcome, Work, serve


def run(work: Work) -> Outcome:
    """Time the calls and nothing else, with as many threads as streaming has."""
    size = int(work.options["batch_size"])
    decoder, classifier = Decoder(work.model), Classifier(work.model, threads=1)
    files = work.files()
    with ThreadPoolExecutor(work.cores) as threads:
        pixels = list(threads.map(lambda path: decoder(Path(path).read_bytes()), files))
        batches = [
            classifier.normalise(np.stack(pixels[start : start + size]))
            for start in range(0, len(files), size)
        ]
        # Each thread's first call takes memory that its later ones use again.
        list(threads.map(classifier.infer, batches[: 2 * work.cores]))
        began, cpu = time.perf_counter(), time.process_time()
        logits = list(threads.map(classifier.infer, batches))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    labels, scores = classifier.best(np.concatenate(logits))
    names = [Path(path).name for path in files]
    return Outcome(
        seconds,
        dict(zip(names, labels, strict=True)),
        dict(zip(names, scores, strict=True)),
        {"cpu_s": cpu},
    )


if __name__ == "__main__":
    serve(run)
