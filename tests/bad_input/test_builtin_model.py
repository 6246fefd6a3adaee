"""The model that ships with the package meets the same odd images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from pipelines import Site, encoded

PHOTOGRAPHS = Path(__file__).parents[2] / "examples" / "photographs"
BUILTIN = {"model__uri": "builtin:efficientnet-lite0-int8", "preprocess": None}


def test_good_photos_get_their_labels_and_bad_ones_their_reasons(site: Site) -> None:
    for photo in ("coffee.png", "flower.jpg"):
        site.add(photo, (PHOTOGRAPHS / photo).read_bytes())
    with Image.open(PHOTOGRAPHS / "coffee.png") as coffee:
        site.add("cmyk.jpg", coffee.convert("CMYK"), "JPEG", quality=95)
        site.add("cut.jpg", encoded(coffee, "JPEG")[:5000])
        exif = Image.Exif()
        exif[0x0112] = 6
        site.add("turned.png", coffee.transpose(Image.Transpose.ROTATE_90), exif=exif)
    site.add("dot.png", Image.new("RGB", (1, 1)))
    site.add("empty.jpg", b"")
    site.add("text.jpg", b"text")
    outcome = site.run(**BUILTIN)

    assert {name: record.error_class for name, record in outcome.bad.items()} == {
        "cut.jpg": "DecodeError",
        "empty.jpg": "EmptyRecordError",
        "text.jpg": "DecodeError",
    }
    assert set(outcome.rows) == {"coffee.png", "flower.jpg", "cmyk.jpg", "turned.png", "dot.png"}
    coffee_row = outcome.rows["coffee.png"]
    assert outcome.rows["cmyk.jpg"]["label"] == coffee_row["label"]
    assert outcome.rows["turned.png"]["label"] == coffee_row["label"]
    assert outcome.rows["turned.png"]["score"] == pytest.approx(coffee_row["score"])
    assert coffee_row["score"] > 0.3
