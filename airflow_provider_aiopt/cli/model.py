"""``aiopt model``: making model folders."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.command import Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.model_options import (
    EVALUATION_CROPS,
    JSON,
    LIMITS,
    MODEL,
    OUTPUT,
    SAMPLING,
    calibration,
    common_options,
    evaluation,
    gate_of,
)
from airflow_provider_aiopt.cli.numbers import count, share
from airflow_provider_aiopt.cli.terminal import stdout_console
from airflow_provider_aiopt.exceptions import ModelAccuracyError

if TYPE_CHECKING:
    from airflow_provider_aiopt.optimize.publishing import OptimizeReport

_EXPORT = """\
Write a model folder: model.onnx in FP32, its card model.json, labels or tokenizer, and licences.

The weights come from installed Python packages; nothing is downloaded.

exit codes: 0 written, 1 no such model or something is not installed, 2 wrong usage
"""

_DATA = """\
DATA is a folder of images for an image model, a .txt file with one text per line for a text model, or an
.npz file with an array for each input. A file labels.csv in the folder (file,class on each line), or an array
'label' of class indices in the .npz file, adds accuracy to the comparison.
"""

_GATE = """\
Nothing is written where the new model differs from the original by more than the limits. An error is the
largest difference between the two models' scores for one record.

exit codes: 0 written, 1 unusable data or something is not installed, 2 wrong usage, 3 too different
"""

_QUANTIZE = f"""\
Write an INT8 form of a model folder, compare it with the original, and show size, latency and accuracy.

A model with convolutions is quantised statically, by what its layers see on the calibration data. Any other
is quantised dynamically and needs data for the comparison alone.

{_DATA}
{_GATE}"""

_PRUNE = f"""\
Write a smaller form of a model folder, compare it with the original, and show size, latency and accuracy.

structured removes channels, those that the layers behind them can best make up for on the calibration data,
and rebuilds these layers' weights by least squares: the graph is smaller and runs faster. magnitude sets
the smallest weights to zero: ONNX Runtime computes with them as with any other, so the file packs better
and nothing gets faster. Neither trains the model again.

{_DATA}
{_GATE}"""

_FP16 = f"""\
Write a form of a model folder with half-precision weights and activations, compare it with the original, and
show size, latency and accuracy. Inputs and outputs keep their types.

It is half the size, and faster on a GPU. A CPU has no kernels for FP16: there ONNX Runtime converts to FP32
and back around each operator, which takes longer than FP32 itself.

{_DATA}
{_GATE}"""

_TENSORRT = f"""\
Build the TensorRT engines of a model folder on this machine, and keep them, with the timing cache, where
inference looks: $AIOPT_CACHE_DIR/tensorrt, by model, version and kind of device. The first task then loads
them in seconds. One engine takes every batch from one record to the largest size given.

The precision is that of the graph: give a folder made with 'aiopt model fp16' for FP16, with 'aiopt model
quantize' for INT8. The answers are compared with those of ONNX Runtime on the CPU.

{_DATA}
exit codes: 0 built or there already, 1 no TensorRT here, or unusable data, 2 wrong usage, 3 too different
"""

_COMPARE = f"""\
Run model folders on the same data and show size, latency, throughput, and how far each one's answers are from
those of the first. The models take turns, and run as they do in a pipeline.

{_DATA}
exit codes: 0 all are within the limits, 1 unusable data or something is not installed, 2 wrong usage, 3 a
model is beyond a limit
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
    from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model

    options = QuantizeOptions(**common_options(arguments), reduce_range=arguments.reduce_range)
    return _gated(arguments, lambda: quantize_model(options))


def _prune(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model

    options = PruneOptions(**common_options(arguments), kind=arguments.kind, amount=arguments.amount)
    return _gated(arguments, lambda: prune_model(options))


def _fp16(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model

    options = Fp16Options(**common_options(arguments), keep=tuple(arguments.keep))
    return _gated(arguments, lambda: convert_model(options))


def _tensorrt(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from airflow_provider_aiopt.optimize.engines import EngineOptions, build_engines

    options = EngineOptions(
        model=arguments.model,
        evaluation=arguments.evaluation,
        batch_sizes=tuple(arguments.batch_sizes),
        evaluation_crops=arguments.evaluation_crops,
        gate=gate_of(arguments),
    )
    try:
        report = build_engines(options)
    except ModelAccuracyError as error:
        complain(str(error))
        return ExitCode.NO_RETRY
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(report), indent=2) + "\n")
        return ExitCode.OK
    built = f"{len(report.files)} files in {report.folder}" if report.files else "all engines were there"
    sys.stdout.write(
        f"{report.model}: {built}; loading took {report.first_s:.1f} s, again {report.again_s:.1f} s; "
        f"same first answer as on the CPU {report.evaluation.agreement:.1%}\n"
    )
    return ExitCode.OK


def _gated(arguments: argparse.Namespace, optimise: Callable[[], OptimizeReport]) -> int:
    """Show what an optimisation changed; a model that the gate refuses would be refused again."""
    from airflow_provider_aiopt.optimize.summary import optimize_table, optimize_values

    try:
        report = optimise()
    except ModelAccuracyError as error:
        complain(str(error))
        return ExitCode.NO_RETRY
    if arguments.json:
        sys.stdout.write(json.dumps(optimize_values(report), indent=2) + "\n")
    else:
        stdout_console().print(optimize_table(report))
    return ExitCode.OK


def _compare(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.comparison import CompareOptions, compare_models
    from airflow_provider_aiopt.optimize.models_table import models_table, models_values

    comparison = compare_models(
        CompareOptions(
            models=(arguments.model, *arguments.others),
            data=arguments.data,
            crops=arguments.crops,
            seed=arguments.seed,
            batch_sizes=tuple(arguments.batch_sizes),
            rounds=arguments.rounds,
            device=arguments.device,
            gate=gate_of(arguments),
        )
    )
    if arguments.json:
        sys.stdout.write(json.dumps(models_values(comparison), indent=2) + "\n")
    else:
        stdout_console().print(models_table(comparison))
    beyond = [model for model in comparison.models if model.faults]
    for model in beyond:
        complain(f"{model.folder} differs too much from {arguments.model.name}: {'; '.join(model.faults)}")
    return ExitCode.NO_RETRY if beyond else ExitCode.OK


GROUP = CommandGroup(
    name="model",
    help="export, quantise, prune, convert and compare models",
    commands=(
        Command(
            name="list",
            help="list the models that can be exported",
            run=_list,
            arguments=(JSON,),
        ),
        Command(
            name="export",
            help="write a model folder from installed weights",
            description=_EXPORT,
            run=_export,
            arguments=(argument("name", metavar="NAME", help="see: aiopt model list"), OUTPUT, JSON),
        ),
        Command(
            name="quantize",
            help="write an INT8 form of a model folder, behind an accuracy gate",
            description=_QUANTIZE,
            run=_quantize,
            arguments=(
                MODEL,
                OUTPUT,
                calibration(required=True, purpose="to calibrate with"),
                evaluation(required=False),
                *SAMPLING,
                argument(
                    "--reduce-range",
                    action="store_true",
                    help="keep weights to 7 bits: for CPUs without VNNI, where full INT8 sums saturate",
                ),
                *LIMITS,
                JSON,
            ),
        ),
        Command(
            name="prune",
            help="write a form with fewer channels, or with zero weights, behind an accuracy gate",
            description=_PRUNE,
            run=_prune,
            arguments=(
                MODEL,
                OUTPUT,
                argument("--kind", choices=("structured", "magnitude"), required=True, help="what to remove"),
                argument(
                    "--amount",
                    type=share,
                    required=True,
                    metavar="X",
                    help="share of the removable channels, or of the weights, above 0 and below 1",
                ),
                calibration(required=False, purpose="by which channels are judged; structured needs it"),
                evaluation(required=False),
                *SAMPLING,
                *LIMITS,
                JSON,
            ),
        ),
        Command(
            name="fp16",
            help="write a half-precision form of a model folder, behind an accuracy gate",
            description=_FP16,
            run=_fp16,
            arguments=(
                MODEL,
                OUTPUT,
                evaluation(required=True),
                *SAMPLING,
                argument(
                    "--keep",
                    action="append",
                    default=[],
                    metavar="OPERATOR",
                    help="type of operators, or name of a node, that stays in FP32; may be repeated",
                ),
                *LIMITS,
                JSON,
            ),
        ),
        Command(
            name="tensorrt",
            help="build a model's TensorRT engines on this machine, behind an accuracy gate",
            description=_TENSORRT,
            run=_tensorrt,
            arguments=(
                argument("model", type=Path, metavar="MODEL", help="model folder"),
                evaluation(required=True),
                argument(
                    "--batch-sizes",
                    type=count,
                    nargs="+",
                    default=[32],
                    metavar="N",
                    help="rows of the calls: execution.batching.pad_to, or execution.batch_size (default 32)",
                ),
                EVALUATION_CROPS,
                *LIMITS,
                JSON,
            ),
        ),
        Command(
            name="compare",
            help="show size, speed and answers of model folders side by side",
            description=_COMPARE,
            run=_compare,
            arguments=(
                argument("model", type=Path, metavar="MODEL", help="model folder, the reference"),
                argument("others", type=Path, nargs="+", metavar="OTHER", help="model folder"),
                argument("--data", type=Path, required=True, metavar="DATA", help="data to run them on"),
                argument(
                    "--crops",
                    type=count,
                    default=40,
                    metavar="N",
                    help="random crops per image (default %(default)s)",
                ),
                argument(
                    "--seed", type=int, default=1, metavar="N", help="of the crops (default %(default)s)"
                ),
                argument(
                    "--batch-sizes",
                    type=count,
                    nargs="+",
                    default=[1, 16],
                    metavar="N",
                    help="records per call that is timed (default 1 16)",
                ),
                argument(
                    "--rounds",
                    type=count,
                    default=5,
                    metavar="N",
                    help="turns of each model at each batch size, of ten calls (default %(default)s)",
                ),
                argument(
                    "--device",
                    choices=("auto", "cpu", "cuda", "tensorrt"),
                    default="auto",
                    help="where to run them (default %(default)s)",
                ),
                *LIMITS,
                JSON,
            ),
        ),
    ),
)
"""The commands of ``aiopt model``."""
