"""Charts as PNG and SVG files: the same data always give the same SVG."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import MissingExtraError, ReportError
from airflow_provider_aiopt.telemetry.export import write_bytes

FORMATS = ("png", "svg")
"""File formats, chosen by the suffix of the file's name."""

_DPI = 150


def write_figure(
    path: Path | str, draw: Callable[[Any], None], *, size: tuple[float, float], purpose: str
) -> None:
    """Draw a figure of matplotlib's and write it to a PNG or SVG file.

    :param path: the file, ``.png`` or ``.svg``; its folder is made where it is missing
    :param draw: puts the axes into the figure that it is given
    :param size: width and height, in inches
    :param purpose: what needs matplotlib, as the beginning of a sentence
    :raises MissingExtraError: if matplotlib is not installed
    :raises ReportError: if the suffix is another
    :raises StorageError: if the file cannot be written
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ReportError(
            f"Cannot draw to {path}: the name ends neither in .png nor in .svg. Choose one of them"
        )
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", purpose) from error
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "aiopt"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        figure.savefig(stream, format=suffix, dpi=_DPI, metadata=metadata)
    write_bytes(path, stream.getvalue())
