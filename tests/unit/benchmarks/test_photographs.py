from __future__ import annotations

import pytest
from PIL import Image

from benchmarks import photographs


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "CACHE", tmp_path)


def contents(folder):
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_pictures_have_the_size_and_are_the_same_every_time(tmp_path, monkeypatch):
    first = photographs.photographs(3)
    monkeypatch.setattr(photographs, "CACHE", tmp_path / "again")
    second = photographs.photographs(3)

    assert contents(first) == contents(second)
    assert len(set(contents(first))) == 3
    with Image.open(first / "000000.jpg") as picture:
        assert (picture.size, picture.format) == ((500, 375), "JPEG")


def test_what_is_there_is_left_alone_and_what_is_missing_is_made():
    folder = photographs.photographs(2)
    before = (folder / "000000.jpg").stat().st_mtime_ns
    (folder / "000001.jpg").unlink()

    photographs.photographs(2)

    assert (folder / "000000.jpg").stat().st_mtime_ns == before
    assert (folder / "000001.jpg").exists()


def test_more_than_the_distinct_pictures_are_links(monkeypatch):
    monkeypatch.setattr(photographs, "DISTINCT", 2)

    folder = photographs.photographs(5)

    assert len(list(folder.iterdir())) == 5
    assert (folder / "000000.jpg").stat().st_nlink == 4
