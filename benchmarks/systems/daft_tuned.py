"""A peer, tuned: Daft, with a batch function that decodes and a class that runs ONNX Runtime."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import daft
import numpy as np
from daft import DataType, Series, col

from benchmarks.systems.parts import Classifier, Decoder
from benchmarks.systems.work import Outcome, Work, serve

_PREDICTION = DataType.struct(
    {"label": DataType.string(), "score": DataType.float64(), "ready": DataType.float64()}
)


def run(work: Work) -> Outcome:
    """Collect the predictions; the clock starts when the last instance of the class has its model."""
    options = {"batch_size": 32, "spinning": True, **work.options}
    decoder = Decoder(work.model)
    size = decoder.spec.size

    @daft.func.batch(  # type: ignore[untyped-decorator]
        return_dtype=DataType.tensor(DataType.uint8(), (size, size, 3)), batch_size=options["batch_size"]
    )
    def decode(payloads: Series) -> Any:
        return np.stack([decoder(payload) for payload in payloads.to_pylist()])

    @daft.cls(max_concurrency=options.get("instances", 1))
    class Model:
        def __init__(self) -> None:
            self._classifier = Classifier(
                work.model, threads=options["threads"], spinning=options["spinning"]
            )
            self._ready = time.monotonic()  # one clock for all processes of the machine

        @daft.method.batch(  # type: ignore[untyped-decorator]
            return_dtype=_PREDICTION, batch_size=options["batch_size"]
        )
        def classify(self, pixels: Series) -> Any:
            labels, scores = self._classifier.classify(_stacked(pixels))
            return [
                {"label": label, "score": score, "ready": self._ready}
                for label, score in zip(labels, scores, strict=True)
            ]

    frame = daft.from_pydict({"path": work.files()})
    frame = frame.with_column("pixels", decode(col("path").download()))
    frame = frame.select("path", Model().classify(col("pixels")).alias("prediction"))
    began = time.monotonic()
    rows = frame.to_pydict()
    ended = time.monotonic()
    names = [Path(path).name for path in rows["path"]]
    predictions = rows["prediction"]
    ready = max([began, *(prediction["ready"] for prediction in predictions)])
    return Outcome(
        ended - ready,
        {name: found["label"] for name, found in zip(names, predictions, strict=True)},
        {name: found["score"] for name, found in zip(names, predictions, strict=True)},
        {"options": options},
    )


def _stacked(pixels: Series) -> np.ndarray[Any, np.dtype[np.uint8]]:
    values: np.ndarray[Any, np.dtype[np.uint8]] = pixels.to_arrow().to_numpy_ndarray()
    return values


if __name__ == "__main__":
    serve(run)
