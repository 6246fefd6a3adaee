from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.figures import FORMATS, write_figure

pytest.importorskip("matplotlib")


def draw(figure: Any) -> None:
    figure.add_subplot().set_title("a title")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_figure_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / "new" / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        write_figure(path, draw, size=(4.0, 2.0), purpose="Drawing a title")
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


def test_another_suffix_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    def never(_: Any) -> None:
        raise AssertionError

    with pytest.raises(ReportError, match=r"chart\.pdf: the name ends neither in \.png nor in \.svg"):
        write_figure(tmp_path / "chart.pdf", never, size=(4.0, 2.0), purpose="Drawing a title")
    assert list(tmp_path.iterdir()) == []
