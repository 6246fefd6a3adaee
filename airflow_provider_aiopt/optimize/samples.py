"""Sample data to calibrate a quantised model with and to judge it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.labels import read_labels
from airflow_provider_aiopt.spec.card import ModelCard
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec, TextPreprocessSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

_LABEL = "label"
_HELD_OUT_EVERY = 5
_SMALLEST_CROP = 0.3


@dataclass(frozen=True, slots=True)
class Samples:
    """Records as a model takes them.

    :param feeds: a tensor for each input, the first axis being the records
    :param description: what they are, without any path
    :param labels: the index of each record's class, None where that is not known
    """

    feeds: Mapping[str, Array]
    description: str
    labels: Array | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(next(iter(self.feeds.values())))


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How records are made from files.

    :param crops: random crops that are taken from each image
    :param seed: of the crops; another one gives other crops
    """

    crops: int
    seed: int


def load_samples(data: Path, card: ModelCard, folder: Path, options: SampleOptions) -> Samples:
    """Prepare sample data for the model that *card* describes.

    :param data: a folder of images, in which a file ``labels.csv`` may name the class of each; a ``.txt``
        file with one text per line; or an ``.npz`` file with an array for each of the model's inputs, already
        prepared, and one ``label`` of class indices where there are labels
    :param card: the model's card, whose ``preprocess`` says how images and texts become tensors
    :param folder: the model folder, where the tokenizer lies
    :param options: how crops are taken
    :raises SourceError: if there are no such data, or if they are of another kind than the model takes
    :raises DecodeError: if an image cannot be decoded
    """
    if data.suffix == ".npz":
        return _from_arrays(data, card)
    preprocess = dict(card.preprocess)
    if data.is_dir() and preprocess.get("kind") == "image":
        samples = _from_images(data, card, ImagePreprocessSpec.model_validate(preprocess), options)
        return replace(samples, labels=read_labels(data, folder, card, image_files(data), options.crops))
    if data.suffix == ".txt" and preprocess.get("kind") == "text":
        return _from_texts(data, folder, TextPreprocessSpec.model_validate(preprocess))
    raise SourceError(
        f"{data} cannot serve as data for {card.name}, whose preprocess.kind is "
        f"{preprocess.get('kind', 'not set')!r}. Give a folder of images for an image model, a .txt file "
        "with one text per line for a text model, or an .npz file with an array for each input: "
        + ", ".join(item.name for item in card.inputs)
    )


def hold_out(samples: Samples) -> tuple[Samples, Samples]:
    """Split *samples* into those to calibrate with and every fifth to judge by.

    :raises SourceError: if there are too few to split
    """
    import numpy as np

    if len(samples) < _HELD_OUT_EVERY:
        raise SourceError(
            f"The calibration data have {len(samples)} records; at least {_HELD_OUT_EVERY} are needed to "
            "hold every fifth out for the evaluation. Give more, or give --evaluation data of their own"
        )
    held = np.arange(len(samples)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    return _chosen(samples, ~held, "without every fifth"), _chosen(samples, held, "every fifth")


def _chosen(samples: Samples, mask: Array, which: str) -> Samples:
    feeds = {name: value[mask] for name, value in samples.feeds.items()}
    labels = None if samples.labels is None else samples.labels[mask]
    return Samples(feeds, f"{samples.description}, {which}", labels)


def _from_arrays(data: Path, card: ModelCard) -> Samples:
    import numpy as np

    try:
        with np.load(data, allow_pickle=False) as arrays:
            feeds = {item.name: arrays[item.name] for item in card.inputs if item.name in arrays}
            labels = arrays[_LABEL] if _LABEL in arrays and _LABEL not in feeds else None
    except (OSError, ValueError) as error:
        raise SourceError(f"{data} cannot be read as an .npz file of arrays: {error}") from None
    missing = [item.name for item in card.inputs if item.name not in feeds]
    lengths = {name: len(value) for name, value in feeds.items() if value.ndim}
    if missing or len(set(lengths.values())) != 1 or len(lengths) != len(feeds) or 0 in lengths.values():
        raise SourceError(
            f"{data} must hold an array for each input of {card.name}, all of the same length above 0. "
            f"Missing: {', '.join(missing) or 'none'}; lengths: {lengths or 'none'}"
        )
    count = len(next(iter(feeds.values())))
    if labels is not None and (labels.shape != (count,) or labels.dtype.kind not in "iu"):
        raise SourceError(
            f"The array {_LABEL!r} in {data} must hold a class index for each of the {count} records; found "
            f"{labels.dtype} {list(labels.shape)}"
        )
    return Samples(feeds, f"the {count} records of {data.name}", labels)


def image_files(data: Path) -> list[Path]:
    """Return the images of a folder, in the order of their names.

    :raises SourceError: if there are none
    """
    files = sorted(path for path in data.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise SourceError(f"{data} holds no images; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return files


def _from_images(
    data: Path, card: ModelCard, preprocess: ImagePreprocessSpec, options: SampleOptions
) -> Samples:
    import numpy as np

    files = image_files(data)
    crops = [crop for index, file in enumerate(files) for crop in _crops(file, index, preprocess, options)]
    pixels = np.stack(crops)
    if preprocess.layout == "nchw":
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    names = ", ".join(file.name for file in files)
    description = (
        f"{options.crops} random crops, seed {options.seed}, of each of {len(files)} images: {names}"
    )
    return Samples({card.inputs[0].name: pixels}, description)


def _crops(file: Path, index: int, preprocess: ImagePreprocessSpec, options: SampleOptions) -> list[Array]:
    """Return normalised squares of random size and place, half of them mirrored."""
    import numpy as np
    from PIL import Image

    from airflow_provider_aiopt.exceptions import DecodeError

    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DecodeError(
            f"{file} cannot be decoded as an image: {error}. Remove it or replace it"
        ) from error
    resample = Image.Resampling[preprocess.interpolation.upper()]
    mean, std = (np.asarray(values, dtype=np.float32) for values in (preprocess.mean, preprocess.std))
    random = np.random.default_rng([options.seed, index])
    crops = []
    for _ in range(options.crops):
        side = max(1, round(min(image.size) * random.uniform(_SMALLEST_CROP, 1)))
        left, top = (int(random.integers(0, length - side + 1)) for length in image.size)
        box = (left, top, left + side, top + side)
        square = np.asarray(image.resize((preprocess.size,) * 2, resample, box=box), dtype=np.float32)
        mirrored = square[:, ::-1] if random.random() < 0.5 else square  # noqa: PLR2004 - half of them
        crops.append((mirrored - mean) / std)
    return crops


def _from_texts(data: Path, folder: Path, preprocess: TextPreprocessSpec) -> Samples:
    import numpy as np

    tokenizers = require("tokenizers", "Tokenising sample texts")
    try:
        texts = [line for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{data} cannot be read as UTF-8 text: {error}") from None
    if not texts:
        raise SourceError(f"{data} holds no text; give one per line")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / preprocess.tokenizer))
    tokenizer.enable_truncation(preprocess.max_length)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    feeds = {
        "input_ids": np.array([item.ids for item in encoded], dtype=np.int64),
        "attention_mask": np.array([item.attention_mask for item in encoded], dtype=np.int64),
        "token_type_ids": np.array([item.type_ids for item in encoded], dtype=np.int64),
    }
    return Samples(feeds, f"the {len(texts)} texts of {data.name}")
