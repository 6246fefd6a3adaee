"""Streaming on a GPU: ONNX Runtime with CUDA and TensorRT, and PyTorch, each beside its bare session loop.

A few cores cannot decode fast enough for a GPU, so it is fed twice: from the cache of prepared records, which
is what the ratio and the busy share are judged by, and by decoding.  ``--device cpu`` runs the same code on
the CPU to test it and writes no result.  Usage: ``python -m benchmarks.gpu``, or ``make bench-gpu``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import nvidia
from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.device_models import onnx_fp16, preprocess, torch_program
from benchmarks.harness import ENVIRONMENT, agreement, ratio, spread
from benchmarks.models import fp32_model
from benchmarks.paths import RESULTS
from benchmarks.photographs import photographs
from benchmarks.session import Session

IMAGES = {"cuda": 50_000, "cpu": 32}
BATCH_SIZE = {"cuda": 128, "cpu": 8}
LEAST_RATIO = 0.9
LEAST_BUSY = 0.9
LEAST_AGREEMENT = 0.98
"""Of half precision with each other: they round differently."""

_ERROR_LINES = 5

Models = Mapping[str, Mapping[str, Any]]
Answers = Mapping[str, Sequence[Mapping[str, Any]]]


def models(device: str, *, compiled: bool) -> dict[str, dict[str, Any]]:
    """Return the ``model`` section of the spec of each configuration.

    :param device: ``cuda`` or ``cpu``
    :param compiled: whether PyTorch compiles its model as well
    """
    labels = {"labels": str(Path(fp32_model()) / "labels.txt")}
    onnx = {"uri": str(onnx_fp16()), **labels}
    torch: dict[str, Any] = {"uri": str(torch_program()), "runtime": "torch", "device": device, **labels}
    options = {"autocast": "float16" if device == "cuda" else "bfloat16", "channels_last": True}
    found = {
        f"onnxruntime_{device}_fp16": {**onnx, "device": device},
        f"torch_{device}": {**torch, "torch": options},
    }
    if device == "cuda":
        found["onnxruntime_tensorrt_fp16"] = {**onnx, "device": "tensorrt"}
    if compiled:
        found[f"torch_{device}_compiled"] = {**torch, "torch": options | {"compile": True}}
    return found


class Runner:
    """Runs configurations, each in a process of its own.

    :param images: folder of images
    :param batch_size: images of a call
    :param cache: folder of prepared records
    """

    def __init__(self, images: Path, batch_size: int, cache: str) -> None:
        self._images = images
        self._few = photographs(batch_size)
        self._cache = cache
        # One shape: CUDA and TensorRT tune themselves anew for each.
        self._options = {
            "batch_size": batch_size,
            "batching": {"pad_to": [batch_size]},
            "preprocess": preprocess(Path(fp32_model())),
        }

    def __call__(self, model: Mapping[str, Any], *extra: str) -> dict[str, Any]:
        """Run one configuration.

        :raises RuntimeError: if it fails, with the end of what it said
        """
        command = [sys.executable, "-m", "benchmarks.systems.device"]
        command += ["--images", str(self._images), "--cache", self._cache, "--model", json.dumps(model)]
        command += ["--options", json.dumps(self._options), "--warm-up", str(self._few), *extra]
        done = subprocess.run(
            command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError("\n".join((done.stdout + done.stderr).splitlines()[-_ERROR_LINES:]))
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def usable(candidates: Models, runner: Runner) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the labels that each configuration answers, and why those that cannot run here do not.

    It fills the cache, too, and lets TensorRT build its engines.
    """
    labels, missing = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, model in candidates.items():
            file = Path(scratch) / f"{name}.json"
            try:
                runner(model, "--labels-to", str(file))
            except RuntimeError as error:
                missing[name] = str(error).splitlines()[-1]
                continue
            labels[name] = json.loads(file.read_text())
    return labels, missing


def disagreements(labels: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Return the agreement with the first configuration of each that has too little of it."""
    reference = next(iter(labels.values()))
    shares = {name: agreement(found, reference) for name, found in labels.items()}
    return {name: share for name, share in shares.items() if share < LEAST_AGREEMENT}


def results(answers: Answers) -> dict[str, Any]:
    """Return the figures of each configuration."""
    return {name: _figures(done) for name, done in answers.items()}


def _figures(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    bare, cached, decoding = (
        [answer[kind]["images_per_s"] for answer in done] for kind in ("bare", "cached", "decoding")
    )
    sampled = [answer["cached"]["nvml_busy_share"] for answer in done]
    known = [share for share in sampled if share is not None]
    return {
        "runtime": done[0]["bare"]["runtime"],
        "images_per_s": {
            "bare_loop": spread(bare),
            "streaming_cached": spread(cached),
            "streaming_decoding": spread(decoding),
        },
        "cached_over_bare": ratio(cached, bare),
        "decoding_over_bare": ratio(decoding, bare),
        "nvml_busy_share": spread(known) if known else None,
        "report_busy_share": spread([answer["cached"]["report_busy_share"] for answer in done]),
    }


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return each configuration's ratio and busy share beside their targets."""
    found = []
    for name, values in figures.items():
        found.append(Check(f"{name}: streaming over bare", values["cached_over_bare"]["median"], LEAST_RATIO))
        if values["nvml_busy_share"]:
            found.append(Check(f"{name}: device busy", values["nvml_busy_share"]["median"], LEAST_BUSY))
    return found


def _table(figures: Mapping[str, Any], traced: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for name, values in figures.items():
        rates = [values["images_per_s"][kind]["median"] for kind in values["images_per_s"]]
        busy = values["nvml_busy_share"]
        rows.append(
            (
                name,
                *(f"{rate:,.0f}" for rate in rates),
                f"{values['cached_over_bare']['median']:.3f}",
                _share(busy and busy["median"]),
                _share(values["report_busy_share"]["median"]),
                _share(traced[name]["busy_share"]),
                _share(traced[name]["overlapped_share"]),
            )
        )
    columns = (
        "images/s, median",
        "bare loop",
        "cached",
        "decoding",
        "cached / bare",
        "busy: NVML",
        "report",
        "trace",
        "copies under kernels",
    )
    return table("Streaming on the device", columns, rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


@contextmanager
def _trace_files(device: str) -> Iterator[Path]:
    if device == "cuda":
        RESULTS.mkdir(parents=True, exist_ok=True)
        yield RESULTS
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.set_defaults(cores=len(os.sched_getaffinity(0)))
    made.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: test this benchmark")
    made.add_argument("--images", type=int, help=f"photographs (default: {IMAGES})")
    made.add_argument("--batch-size", type=int, help=f"images of a call (default: {BATCH_SIZE})")
    made.add_argument("--compile", action="store_true", help="with torch.compile as well")
    arguments = made.parse_args(argv)
    arguments.images = arguments.images or IMAGES[arguments.device]
    arguments.batch_size = arguments.batch_size or BATCH_SIZE[arguments.device]
    return arguments


def _describe(device: str) -> dict[str, Any] | None:
    if device == "cpu":
        return None
    try:
        return nvidia.describe()
    except RuntimeError as error:
        nvidia.refuse(error)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parse(argv)
    console = Console(stderr=True)
    gpu = _describe(arguments.device)
    session = Session.begin("gpu", arguments)
    folder = photographs(arguments.images)
    with tempfile.TemporaryDirectory() as cache:
        runner = Runner(folder, arguments.batch_size, cache)
        candidates = models(arguments.device, compiled=arguments.compile)
        labels, missing = usable(candidates, runner)
        for name, reason in missing.items():
            console.print(f"{name} does not run here: {reason}", highlight=False, soft_wrap=True)
        if not labels:
            raise SystemExit("No configuration runs here")
        if different := disagreements(labels):
            raise SystemExit(f"Top-1 labels agree on too few images: {different}")

        def announce(number: int, name: str, answer: Mapping[str, Any]) -> None:
            rates = {kind: round(answer[kind]["images_per_s"]) for kind in ("bare", "cached", "decoding")}
            console.print(f"round {number}: {name} images/s {rates}", highlight=False)

        answers = session.interleave(
            list(labels),
            lambda name: runner(candidates[name], "--decode"),
            rounds=arguments.rounds,
            on_run=announce,
        )
        with _trace_files(arguments.device) as target:
            traced = {
                name: runner(candidates[name], "--trace", str(target / f"gpu-trace-{name}.json.gz"))["trace"]
                for name in labels
            }
    figures = results(answers)
    values = {
        "gpu": gpu,
        "images": arguments.images,
        "batch_size": arguments.batch_size,
        "unavailable": missing,
        "median_images_per_s": {
            name: {kind: statistics.median(rate["values"]) for kind, rate in found["images_per_s"].items()}
            for name, found in figures.items()
        },
        "configurations": figures,
        "traces": traced,
        "runs": answers,
    }
    session.conclude(values, [_table(figures, traced)], checks(figures), keep=arguments.device == "cuda")


if __name__ == "__main__":
    main()
