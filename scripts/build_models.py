"""Build the models that ship with the package again, from weights and photographs in installed packages.

Usage: ``python scripts/build_models.py [--output DIR]``, with the dependency group ``models`` installed.
Does what the two commands do that the models' cards name, and puts the result into
``airflow_provider_aiopt/models``.  No photograph is used both to calibrate and to judge.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from airflow_provider_aiopt.optimize.export import export_model
from airflow_provider_aiopt.optimize.publishing import OptimizeReport
from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model
from airflow_provider_aiopt.optimize.summary import optimize_table

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "airflow_provider_aiopt" / "models"
PHOTOGRAPHS = ROOT / "examples" / "photographs"

CALIBRATION = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "clock_motion.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_right.png",
    "retina.jpg",
)
"""Photographs of scikit-image to calibrate with."""

EVALUATION = (
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "flower.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)
"""Photographs of :data:`PHOTOGRAPHS` to judge by."""

FP32 = "efficientnet_lite0"
INT8 = "efficientnet_lite0_int8"


def lay_out_photographs(scratch: Path) -> None:
    """Copy the photographs into the folders ``calibration`` and ``photographs`` below *scratch*."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        sys.exit("The calibration photographs come from scikit-image: uv pip install --group models")
    installed = Path(found.submodule_search_locations[0]) / "data"
    for folder, source, names in (
        ("calibration", installed, CALIBRATION),
        ("photographs", PHOTOGRAPHS, EVALUATION),
    ):
        (scratch / folder).mkdir()
        for name in names:
            shutil.copyfile(source / name, scratch / folder / name)


def build_int8(fp32: Path, output: Path) -> OptimizeReport:
    """Quantise the exported EfficientNet-Lite0.

    :param fp32: its model folder
    :param output: the model folder to write
    """
    with tempfile.TemporaryDirectory() as scratch:
        lay_out_photographs(Path(scratch))
        return quantize_model(
            QuantizeOptions(
                model=fp32,
                output=output,
                calibration=Path(scratch) / "calibration",
                evaluation=Path(scratch) / "photographs",
            )
        )


def build(output: Path) -> OptimizeReport:
    """Build the shipped models below *output*.

    :param output: a folder of model folders
    """
    with tempfile.TemporaryDirectory() as scratch:
        fp32 = Path(scratch) / FP32
        export_model("efficientnet-lite0", fp32)
        return build_int8(fp32, output / INT8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the models that ship with the package again.")
    parser.add_argument(
        "--output", type=Path, default=SHIPPED, help="where to put them (default: the package)"
    )
    Console().print(optimize_table(build(parser.parse_args().output)))
