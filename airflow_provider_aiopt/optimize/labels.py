"""What the images of a folder show, by a table beside them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.spec.card import ModelCard

if TYPE_CHECKING:
    import numpy as np

LABELS_TABLE = "labels.csv"
"""File in a folder of images: two columns without a heading, a file's name and its class."""


def read_labels(
    data: Path, folder: Path, card: ModelCard, files: list[Path], crops: int
) -> np.ndarray[Any, Any] | None:
    """Return the class index of each crop, or None where the folder has no table of labels.

    :param data: the folder of images
    :param folder: the model folder, which has the classes' names
    :param card: its card
    :param files: the images, in the order of the records
    :param crops: records of each image, which follow each other
    :raises SourceError: if the table leaves an image out or names a class that the model does not know
    """
    import numpy as np

    path = data / LABELS_TABLE
    if not path.is_file():
        return None
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.reader(stream) if row]
    broken = [row for row in rows if len(row) != 2]  # noqa: PLR2004 - file and class
    if broken:
        raise SourceError(f"{path} must have two columns, file and class; found {broken[0]}")
    classes = {file: name.strip() for file, name in rows}
    missing = [file.name for file in files if file.name not in classes]
    if missing:
        raise SourceError(f"{path} has no line for {', '.join(missing)}: name the class of each image")
    names = _class_names(folder, card)
    unknown = sorted({name for name in classes.values() if name not in names})
    if unknown:
        raise SourceError(
            f"{path} names classes that {card.name} does not know: {', '.join(unknown)}. Write them as in "
            f"the model's {card.labels or 'outputs, by index'}"
        )
    return np.repeat([names[classes[file.name]] for file in files], crops)


def _class_names(folder: Path, card: ModelCard) -> dict[str, int]:
    """Return the index of each class by its name, or by the index itself where classes have no names."""
    if card.labels:
        lines = (folder / card.labels).read_text(encoding="utf-8-sig").splitlines()
        return {name: index for index, name in enumerate(lines)}
    count = card.outputs[0].shape[-1]
    return {str(index): index for index in range(count if isinstance(count, int) else 0)}
