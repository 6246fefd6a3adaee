"""``aiopt model``: making model folders."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from airflow_provider_aiopt.cli.command import Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode
from airflow_provider_aiopt.cli.numbers import count, limit
from airflow_provider_aiopt.cli.terminal import stdout_console

_EXPORT = """\
Write a model folder: model.onnx in FP32, its card model.json, labels or tokenizer, and licences.

The weights come from installed Python packages; nothing is downloaded.

exit codes: 0 written, 1 no such model or something is not installed, 2 wrong usage
"""

_QUANTIZE = """\
Write an INT8 form of a model folder, compare it with the original, and show size, latency and accuracy.

A model with convolutions is quantised statically, by what its layers see on the calibration data. Any other
is quantised dynamically and needs data for the comparison alone. DATA is a folder of images for an image
model, a .txt file with one text per line for a text model, or an .npz file with an array for each input.

Nothing is written where the quantised model differs from the original by more than the limits. An error is
the largest difference between the two models' scores for one record.

exit codes: 0 written, 1 too different, unusable data or something is not installed, 2 wrong usage
"""


def _export(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.export import export_model

    card = export_model(arguments.name, arguments.output)
    if arguments.json:
        sys.stdout.write(card.to_json())
    else:
        sys.stdout.write(f"{arguments.output}: {card.name}, {card.precision}, sha256 {card.sha256}\n")
    return ExitCode.OK


def _list(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.models import CATALOGUE

    if arguments.json:
        models = [
            {"name": model.name, "task": model.task, "licence": model.licence, "needs": model.distributions}
            for model in CATALOGUE.values()
        ]
        sys.stdout.write(json.dumps(models, indent=2) + "\n")
        return ExitCode.OK
    for model in CATALOGUE.values():
        sys.stdout.write(f"{model.name}: {model.task}, {model.summary}, {model.licence}\n")
        sys.stdout.write(f"  needs: pip install {' '.join(model.distributions)}\n")
    return ExitCode.OK


def _quantize(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
    from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model
    from airflow_provider_aiopt.optimize.summary import quantize_table, quantize_values

    report = quantize_model(
        QuantizeOptions(
            model=arguments.model,
            output=arguments.output,
            calibration=arguments.calibration,
            evaluation=arguments.evaluation,
            crops=arguments.crops,
            evaluation_crops=arguments.evaluation_crops,
            seed=arguments.seed,
            reduce_range=arguments.reduce_range,
            gate=AccuracyGate(
                max_disagreement=arguments.max_disagreement,
                max_score_error=arguments.max_score_error,
                max_mean_score_error=arguments.max_mean_score_error,
            ),
        )
    )
    if arguments.json:
        sys.stdout.write(json.dumps(quantize_values(report), indent=2) + "\n")
        return ExitCode.OK
    stdout_console().print(quantize_table(report))
    return ExitCode.OK


_OUTPUT = argument(
    "-o",
    "--output",
    type=Path,
    required=True,
    metavar="DIR",
    help="model folder to write; one that is there is replaced",
)
_JSON = argument("--json", action="store_true", help="print JSON instead")

GROUP = CommandGroup(
    name="model",
    help="export and quantise models",
    commands=(
        Command(
            name="list",
            help="list the models that can be exported",
            run=_list,
            arguments=(_JSON,),
        ),
        Command(
            name="export",
            help="write a model folder from installed weights",
            description=_EXPORT,
            run=_export,
            arguments=(argument("name", metavar="NAME", help="see: aiopt model list"), _OUTPUT, _JSON),
        ),
        Command(
            name="quantize",
            help="write an INT8 form of a model folder, behind an accuracy gate",
            description=_QUANTIZE,
            run=_quantize,
            arguments=(
                argument("model", type=Path, metavar="MODEL", help="model folder, in FP32"),
                _OUTPUT,
                argument(
                    "--calibration", type=Path, required=True, metavar="DATA", help="data to calibrate with"
                ),
                argument(
                    "--evaluation",
                    type=Path,
                    metavar="DATA",
                    help="data to compare on; every fifth calibration record, held out, by default",
                ),
                argument(
                    "--crops",
                    type=count,
                    default=16,
                    metavar="N",
                    help="random crops per calibration image (default %(default)s)",
                ),
                argument(
                    "--evaluation-crops",
                    type=count,
                    default=40,
                    metavar="N",
                    help="random crops per evaluation image (default %(default)s)",
                ),
                argument(
                    "--seed", type=int, default=0, metavar="N", help="of the crops (default %(default)s)"
                ),
                argument(
                    "--reduce-range",
                    action="store_true",
                    help="keep weights to 7 bits: for CPUs without VNNI, where full INT8 sums saturate",
                ),
                argument(
                    "--max-disagreement",
                    type=limit,
                    default=0.05,
                    metavar="X",
                    help="allowed share of other first answers, 0 to 1 (default %(default)s)",
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
                _JSON,
            ),
        ),
    ),
)
"""The commands of ``aiopt model``."""
