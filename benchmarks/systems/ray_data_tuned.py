"""A peer, tuned: Ray Data reads the files, tasks decode them, actors run ONNX Runtime."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray

from benchmarks.systems.parts import Classifier, Decoder
from benchmarks.systems.work import Outcome, Work, serve

Batch = dict[str, Any]


def _decode(decoder: Decoder, batch: Batch) -> Batch:
    return {"path": batch["path"], "pixels": np.stack([decoder(payload) for payload in batch["bytes"]])}


class _Model:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        self._classifier = Classifier(model, threads=options["threads"], spinning=options["spinning"])
        self._ready = time.monotonic()  # one clock for all processes of the machine

    def __call__(self, batch: Batch) -> Batch:
        labels, scores = self._classifier.classify(batch["pixels"])
        ready = np.full(len(labels), self._ready)
        return {"path": batch["path"], "label": np.array(labels), "score": np.array(scores), "ready": ready}


def run(work: Work) -> Outcome:
    """Collect the predictions; the clock starts when the last actor has its model."""
    options = {"batch_size": 32, "spinning": True, "actors": 1, "decode_cpus": 1, **work.options}
    ray.init(num_cpus=work.cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    decode = partial(_decode, Decoder(work.model))
    began = time.monotonic()
    rows = (
        ray.data.read_binary_files(str(work.images), include_paths=True)
        .map_batches(decode, batch_size=options["batch_size"], num_cpus=options["decode_cpus"])
        .map_batches(
            _Model,
            fn_constructor_args=(work.model, options),
            batch_size=options["batch_size"],
            num_cpus=options["actor_cpus"],
            compute=ray.data.ActorPoolStrategy(size=options["actors"]),
        )
        .take_all()
    )
    ended = time.monotonic()
    ready = max([began, *(row["ready"] for row in rows)])
    ray.shutdown()
    return Outcome(
        ended - ready,
        {Path(row["path"]).name: str(row["label"]) for row in rows},
        {Path(row["path"]).name: float(row["score"]) for row in rows},
        {"options": options},
    )


if __name__ == "__main__":
    serve(run)
