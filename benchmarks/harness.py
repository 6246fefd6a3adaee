"""Running systems in turn, each in a process of its own, and reducing what they answer."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.paths import ROOT

R = TypeVar("R")

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    # Peers report their use to their makers unless told not to.
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_ERROR_LINES = 30


@dataclass(frozen=True)
class System:
    """One of the systems that are compared.

    :param name: its name in tables and files
    :param module: the module below ``benchmarks.systems`` that runs it
    :param model: model folder or ``builtin:NAME``
    :param options: its settings
    """

    name: str
    module: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run of one system.

    :param images_per_s: images over the seconds after imports and model load
    :param whole_images_per_s: images over the seconds from the start of the process to its end
    :param answer: what the system printed
    """

    images_per_s: float
    whole_images_per_s: float
    answer: Mapping[str, Any]


def run_system(system: System, images: Path, *, labels_to: Path | None = None) -> Run:
    """Run *system* over a folder of images.

    :param labels_to: file for the labels by image
    :raises RuntimeError: if the system fails, with the end of what it said
    """
    command = [sys.executable, "-m", f"benchmarks.systems.{system.module}"]
    command += ["--images", str(images), "--model", system.model, "--options", json.dumps(system.options)]
    if labels_to is not None:
        command += ["--labels-to", str(labels_to)]
    began = time.perf_counter()
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-_ERROR_LINES:])
        raise RuntimeError(f"The system {system.name} exited with {done.returncode}:\n{said}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Run(answer["images"] / answer["seconds"], answer["images"] / whole, answer)


def interleave(
    names: Sequence[str],
    run: Callable[[str], R],
    *,
    rounds: int,
    on_run: Callable[[int, str, R], None] = lambda *_: None,
) -> dict[str, list[R]]:
    """Call *run* for each name in turn, *rounds* times after a warm-up round that is dropped.

    What slows the machine for a while thus slows all of them.

    :param on_run: called after each with the round, 0 being the warm-up
    """
    results: dict[str, list[R]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names:
            result = run(name)
            on_run(number, name, result)
            if number:
                results[name].append(result)
    return results


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return median, least, greatest and all of *values*."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "values": list(values),
    }


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, Any]:
    """Return the spread of the ratios of two systems, each taken within one round."""
    pairs = zip(numerators, denominators, strict=True)
    return spread([numerator / denominator for numerator, denominator in pairs])


def agreement(labels: Mapping[str, str], reference: Mapping[str, str]) -> float:
    """Return the share of the images of *reference* that got the same label."""
    if not reference:
        return 1.0
    return sum(labels.get(name) == label for name, label in reference.items()) / len(reference)


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return *k* of the law ``cost = c * size ** k`` between the two largest sizes: 1 is linear."""
    return math.log(costs[-1] / costs[-2]) / math.log(sizes[-1] / sizes[-2])
