"""Images per second of this package, of the limit and of the peers: same files, same model, one run.

Each peer runs twice: as its own documentation shows it, under its own name, and tuned by an expert, who also
hands it this package's decoder, under its name with ``_tuned``.

Usage: ``python -m benchmarks.throughput``, or ``make bench-throughput``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import Run, System, agreement, peers_python, ratio, run_system, spread
from benchmarks.machine import machine
from benchmarks.models import INT8, fp32_model
from benchmarks.photographs import photographs
from benchmarks.session import Session
from benchmarks.systems.candidates import CANDIDATES

IDIOMATIC = ("dataloader", "daft", "ray_data")
REFERENCE = "limit"
TARGETS = (
    ("streaming_fp32", "limit", 0.95),
    ("staged_fp32", "limit", 0.85),
    ("streaming_fp32", "dataloader", 1.45),
    ("streaming_fp32", "daft", 2.4),
    ("streaming_fp32", "ray_data", 3.3),
)
INT8_TARGET = ("streaming_int8", "streaming_fp32", 1.75)
LEAST_AGREEMENT = 0.99
SHARED = ("onnxruntime", "numpy", "pillow")
"""What must be of one version in all environments."""
TUNING_IMAGES = 400

Runs = Mapping[str, Sequence[Run]]


def systems(fp32: str, options: Mapping[str, Mapping[str, Any]], python: str) -> list[System]:
    """Return what is compared, in the order of a round.

    :param fp32: the FP32 model's folder
    :param options: the tuned peers' settings
    :param python: the interpreter of the peers' environment
    """
    own = [
        System("limit", "limit", fp32),
        System("streaming_fp32", "streaming", fp32),
        System("staged_fp32", "staged", fp32),
        System("streaming_int8", "streaming", INT8),
    ]
    idiomatic = [System(name, name, fp32, python=python) for name in IDIOMATIC]
    return [*own, *idiomatic, *(System(name, name, fp32, options[name], python) for name in CANDIDATES)]


def tune(fp32: str, python: str, console: Console) -> dict[str, Mapping[str, Any]]:
    """Return each tuned peer's fastest settings among its candidates."""
    images = photographs(TUNING_IMAGES)
    best: dict[str, Mapping[str, Any]] = {}
    for name, candidates in CANDIDATES.items():
        rates = [
            run_system(System(name, name, fp32, options, python), images).images_per_s
            for options in candidates
        ]
        best[name] = candidates[rates.index(max(rates))]
        console.print(f"{name}: {max(rates):.1f} images/s with {best[name]}", highlight=False)
    return best


def disagreements(labels: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Return the agreement with the limit's labels of each system that has too little of it.

    :param labels: each system's labels by image
    """
    shares = {name: agreement(found, labels[REFERENCE]) for name, found in labels.items()}
    # Another model may answer otherwise; how much is in its card.
    return {n: share for n, share in shares.items() if share < LEAST_AGREEMENT and not n.endswith("_int8")}


def foreign_versions(answer: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *answer* ran in another version than *reference* of what all share."""
    found, wanted = answer["versions"], reference["versions"]
    return {name: (found[name], wanted[name]) for name in SHARED if found[name] != wanted[name]}


def checks(runs: Runs, *, vnni: bool) -> list[Check]:
    """Return the ratios beside their targets."""
    rates = {name: [run.images_per_s for run in done] for name, done in runs.items()}
    targets = (*TARGETS, INT8_TARGET) if vnni else TARGETS
    return [
        Check(f"{fast} / {slow}", ratio(rates[fast], rates[slow])["median"], target)
        for fast, slow, target in targets
    ]


def results(runs: Runs) -> dict[str, Any]:
    """Return the figures as plain values."""
    rates = {name: [run.images_per_s for run in done] for name, done in runs.items()}
    ours = rates["streaming_fp32"]
    return {
        "median_images_per_s": {name: spread(values)["median"] for name, values in rates.items()},
        "images_per_s": {name: spread(values) for name, values in rates.items()},
        "whole_process_images_per_s": {
            name: spread([run.whole_images_per_s for run in done]) for name, done in runs.items()
        },
        "streaming_fp32_over": {name: ratio(ours, values) for name, values in rates.items()},
        "versions_by_system": {name: done[0].answer["versions"] for name, done in runs.items()},
        "runs": {name: [_answer(run) for run in done] for name, done in runs.items()},
    }


def _answer(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.answer.items() if key != "versions"}


def _table(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, rate in figures["images_per_s"].items():
        values = (
            rate["median"],
            rate["min"],
            rate["max"],
            figures["whole_process_images_per_s"][name]["median"],
        )
        over = figures["streaming_fp32_over"][name]["median"]
        rows.append((name, *(f"{value:.1f}" for value in values), f"{over:.2f}"))
    columns = ("images/s", "median", "min", "max", "whole process", "streaming_fp32 over it")
    return table("Throughput", columns, rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=2000).parse_args()
    python = peers_python()
    session = Session.begin("throughput", arguments)
    console = Console(stderr=True)
    folder, fp32 = photographs(arguments.images), fp32_model()
    options = session.once("options", lambda: tune(fp32, python, console))
    contest = {system.name: system for system in systems(fp32, options, python)}
    reference: dict[str, Any] = {}

    def run(name: str) -> Run:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "labels.json"
            result = run_system(contest[name], folder, labels_to=file)
            labels = json.loads(file.read_text())
        if name == REFERENCE:
            reference.update(labels=labels, answer=result.answer)
        if different := disagreements({REFERENCE: reference["labels"], name: labels}):
            raise SystemExit(f"Top-1 labels agree with the limit's on too few images: {different}")
        if foreign := foreign_versions(result.answer, reference["answer"]):
            raise SystemExit(f"{name} runs other versions than the limit: {foreign}. Run: make install-peers")
        return result

    def announce(number: int, name: str, result: Run) -> None:
        console.print(f"round {number}: {name} {result.images_per_s:.1f} images/s", highlight=False)

    runs = session.interleave(
        list(contest), run, rounds=arguments.rounds, on_run=announce, decode=lambda values: Run(**values)
    )
    figures = results(runs)
    values = {"images": arguments.images, "options": options, **figures}
    session.conclude(values, [_table(figures)], checks(runs, vnni=machine()["vnni"]))


if __name__ == "__main__":
    main()
