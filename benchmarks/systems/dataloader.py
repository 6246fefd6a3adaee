"""A peer as its documentation shows it: a torch ``DataLoader`` with two workers, and ONNX Runtime.

Followed: `Datasets & DataLoaders <https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html>`_
for the data set and the loader, and `torch.utils.data <https://docs.pytorch.org/docs/stable/data.html>`_
("Single- and Multi-process Data Loading") for ``num_workers``, of which there is one for each of the two
cores.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.systems.idiomatic import BATCH_SIZE, Model, image_transform
from benchmarks.systems.work import Outcome, Work, serve


class _Photographs(Dataset):  # type: ignore[misc]  # torch is not followed by mypy
    def __init__(self, files: list[str], transform: Any) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        image = Image.open(self.files[index]).convert("RGB")
        return Path(self.files[index]).name, self.transform(image)


def run(work: Work) -> Outcome:
    """Iterate over the loader; the clock includes the start of the workers."""
    model = Model(work.model)
    loader = DataLoader(
        _Photographs(work.files(), image_transform(work.model)),
        batch_size=BATCH_SIZE,
        num_workers=work.cores,
    )
    labels: dict[str, str] = {}
    scores: dict[str, float] = {}
    began = time.perf_counter()
    for names, images in loader:
        found, sure = model.predict(images.numpy())
        labels.update(zip(names, found, strict=True))
        scores.update(zip(names, sure, strict=True))
    return Outcome(time.perf_counter() - began, labels, scores)


if __name__ == "__main__":
    serve(run)
