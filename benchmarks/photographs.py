"""Make JPEGs of 500x375 by seeded crops of the real photographs.

Usage: ``python -m benchmarks.photographs [COUNT]``.  Picture number *n* is the same whatever the count is.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.paths import CACHE, PHOTOGRAPHS

if TYPE_CHECKING:
    from PIL import Image

SIZE = (500, 375)
QUALITY = 90
DISTINCT = 2000
"""How many different pictures there are; further ones are further names of these."""

_SMALLEST_SHARE = 0.6  # of the largest crop of the right shape


def photographs(count: int) -> Path:
    """Return a folder of *count* JPEGs, making those that it lacks.

    Pictures beyond :data:`DISTINCT` are hard links to earlier ones, which read like files of their own and
    take no room.
    """
    originals = _drawn(min(count, DISTINCT))
    if count <= DISTINCT:
        return originals
    folder = CACHE / f"photographs-{count}"
    folder.mkdir(exist_ok=True)
    sources = sorted(originals.glob("*.jpg"))
    for number in range(count):
        link = folder / _name(number)
        if not link.exists():
            os.link(sources[number % DISTINCT], link)
    return folder


def _drawn(count: int) -> Path:
    folder = CACHE / f"photographs-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(count) if not (folder / _name(number)).exists()]
    if missing:
        sources = _sources()
        for number in missing:
            _save(draw(sources, number), folder / _name(number))
    return folder


def draw(sources: Sequence[Image.Image], number: int) -> Image.Image:
    """Return picture *number*: a random crop of one of *sources*, scaled to :data:`SIZE`."""
    from PIL import Image

    chance = random.Random(number)  # noqa: S311 - nothing secret
    source = chance.choice(sources)
    largest = min(source.width, source.height * SIZE[0] / SIZE[1])
    width = chance.uniform(_SMALLEST_SHARE, 1) * largest
    height = width * SIZE[1] / SIZE[0]
    left = chance.uniform(0, source.width - width)
    top = chance.uniform(0, source.height - height)
    box = (left, top, left + width, top + height)
    return source.resize(SIZE, Image.Resampling.BICUBIC, box=box)


def _sources() -> list[Image.Image]:
    from PIL import Image

    files = sorted(path for path in PHOTOGRAPHS.iterdir() if path.suffix in (".jpg", ".png"))
    return [Image.open(path).convert("RGB") for path in files]


def _save(picture: Image.Image, target: Path) -> None:
    partial = target.with_suffix(".part")  # so that a run that is killed leaves no half picture
    picture.save(partial, "JPEG", quality=QUALITY)
    partial.replace(target)


def _name(number: int) -> str:
    return f"{number:06d}.jpg"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=DISTINCT)
    print(photographs(parser.parse_args().count))
