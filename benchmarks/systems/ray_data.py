"""A peer as its documentation shows it: Ray Data reads images and transforms them, an actor runs the model.

Followed: `Working with Images <https://docs.ray.io/en/latest/data/working-with-images.html>`_ ("Performing
inference on images": ``read_images``, ``map`` with torchvision's transforms, ``map_batches`` with a class and
an ``ActorPoolStrategy``).  The page has two actors; on two cores they would leave none to the tasks that feed
them, so there is one.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from PIL import Image

from benchmarks.systems.idiomatic import BATCH_SIZE, Model, image_transform
from benchmarks.systems.work import Outcome, Work, serve

Values = dict[str, Any]


class _Classifier:
    def __init__(self, model: str) -> None:
        self.model = Model(model)
        self.ready = time.monotonic()  # one clock for all processes of the machine

    def __call__(self, batch: Values) -> Values:
        labels, scores = self.model.predict(batch["image"])
        ready = np.full(len(labels), self.ready)
        return {"path": batch["path"], "label": np.array(labels), "score": np.array(scores), "ready": ready}


def run(work: Work) -> Outcome:
    """Collect the predictions; the clock starts when the last actor has its model."""
    ray.init(num_cpus=work.cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    transform = image_transform(work.model)

    def transform_image(row: Values) -> Values:
        row["image"] = transform(Image.fromarray(row["image"])).numpy()
        return row

    began = time.monotonic()
    rows = (
        ray.data.read_images(str(work.images), include_paths=True)
        .map(transform_image)
        .map_batches(
            _Classifier,
            fn_constructor_args=(work.model,),
            batch_size=BATCH_SIZE,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        .take_all()
    )
    ended = time.monotonic()
    ray.shutdown()
    return Outcome(
        ended - max([began, *(row["ready"] for row in rows)]),
        {Path(row["path"]).name: str(row["label"]) for row in rows},
        {Path(row["path"]).name: float(row["score"]) for row in rows},
    )


if __name__ == "__main__":
    serve(run)
