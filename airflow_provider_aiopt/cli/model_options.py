"""Arguments of ``aiopt model`` that several of its commands have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.cli.command import Argument, argument
from airflow_provider_aiopt.cli.numbers import count, limit, share

MODEL = argument("model", type=Path, metavar="MODEL", help="model folder, in FP32")
OUTPUT = argument(
    "-o",
    "--output",
    type=Path,
    required=True,
    metavar="DIR",
    help="model folder to write; one that is there is replaced",
)
JSON = argument("--json", action="store_true", help="print JSON instead")

LIMITS = (
    argument(
        "--min-agreement",
        type=share,
        default=0.95,
        metavar="X",
        help="share of the records that must have the same first answer, 0 to 1 (default %(default)s)",
    ),
    argument(
        "--max-score-error",
        type=limit,
        default=0.25,
        metavar="X",
        help="allowed largest error (default %(default)s)",
    ),
    argument(
        "--max-mean-score-error",
        type=limit,
        default=0.03,
        metavar="X",
        help="allowed mean error (default %(default)s)",
    ),
    argument(
        "--max-accuracy-drop",
        type=limit,
        default=0.02,
        metavar="X",
        help="allowed loss of accuracy, where the data have labels (default %(default)s)",
    ),
)


def calibration(*, required: bool, purpose: str) -> Argument:
    """Return the option for data that a method looks at."""
    return argument(
        "--calibration",
        type=Path,
        required=required,
        metavar="DATA",
        help=f"data {purpose}",
    )


def evaluation(*, required: bool) -> Argument:
    """Return the option for data to judge by."""
    by_default = "" if required else "; every fifth calibration record, held out, by default"
    return argument(
        "--evaluation", type=Path, required=required, metavar="DATA", help=f"data to compare on{by_default}"
    )


EVALUATION_CROPS = argument(
    "--evaluation-crops",
    type=count,
    default=40,
    metavar="N",
    help="random crops per evaluation image (default %(default)s)",
)

SAMPLING = (
    argument(
        "--crops",
        type=count,
        default=16,
        metavar="N",
        help="random crops per calibration image (default %(default)s)",
    ),
    EVALUATION_CROPS,
    argument("--seed", type=int, default=0, metavar="N", help="of the crops (default %(default)s)"),
)


def gate_of(arguments: argparse.Namespace) -> Any:
    """Return the accuracy gate that a command line asks for."""
    from airflow_provider_aiopt.optimize.evaluation import AccuracyGate

    return AccuracyGate(
        min_agreement=arguments.min_agreement,
        max_score_error=arguments.max_score_error,
        max_mean_score_error=arguments.max_mean_score_error,
        max_accuracy_drop=arguments.max_accuracy_drop,
    )


def common_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that every optimisation has."""
    return {
        "model": arguments.model,
        "output": arguments.output,
        "calibration": getattr(arguments, "calibration", None),
        "evaluation": arguments.evaluation,
        "crops": arguments.crops,
        "evaluation_crops": arguments.evaluation_crops,
        "seed": arguments.seed,
        "gate": gate_of(arguments),
    }
