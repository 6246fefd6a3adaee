"""A peer, tuned: torch's DataLoader decodes in worker processes, the main process runs ONNX Runtime."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.systems.parts import Classifier, Decoder
from benchmarks.systems.work import Outcome, Work, serve


class _Photographs(Dataset):  # type: ignore[misc]  # torch is not followed by mypy
    def __init__(self, files: list[str], decoder: Decoder) -> None:
        self._files = files
        self._decoder = decoder

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        path = Path(self._files[index])
        # uint8 through the queue: a quarter of the bytes of normalised floats.
        return path.name, torch.from_numpy(self._decoder(path.read_bytes()).copy())


def run(work: Work) -> Outcome:
    """Iterate over the loader; the clock includes the start of the workers, which are forks."""
    options = {"batch_size": 32, "spinning": True, **work.options}
    torch.set_num_threads(1)
    classifier = Classifier(work.model, threads=options["threads"], spinning=options["spinning"])
    loader = DataLoader(
        _Photographs(work.files(), Decoder(work.model)),
        batch_size=options["batch_size"],
        num_workers=options["workers"],
        multiprocessing_context="fork",
    )
    labels: dict[str, str] = {}
    scores: dict[str, float] = {}
    began = time.perf_counter()
    for names, pixels in loader:
        found, sure = classifier.classify(pixels.numpy())
        labels.update(zip(names, found, strict=True))
        scores.update(zip(names, sure, strict=True))
    return Outcome(time.perf_counter() - began, labels, scores, {"options": options})


if __name__ == "__main__":
    serve(run)
