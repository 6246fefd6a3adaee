"""Running systems in turn, each in a process of its own, and reducing what they answer."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.paths import PEERS_PYTHON, ROOT

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
    :param python: the interpreter of the environment that has what it imports
    """

    name: str
    module: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable


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
    command = [system.python, "-m", f"benchmarks.systems.{system.module}"]
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


def peers_python() -> str:
    """Return the interpreter of the peers' environment.

    :raises SystemExit: if there is none
    """
    if not PEERS_PYTHON.exists():
        raise SystemExit(f"The peers are not installed: there is no {PEERS_PYTHON}. Run: make install-peers")
    return str(PEERS_PYTHON)


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


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval that holds the median of what *values* are drawn from, with at least *confidence*.

    It lies between two of the sorted values and supposes nothing about their distribution: how many of them
    fall below the median is binomial.  With too few values it runs from the least to the greatest.
    """
    ordered, count = sorted(values), len(values)
    below, tail = 0, 0.0
    while below < count // 2:
        tail += math.comb(count, below) / 2**count
        if 2 * tail > 1 - confidence:
            break
        below += 1
    first = max(0, below - 1)
    return ordered[first], ordered[count - 1 - first]


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return *k* of the law ``cost = c * size ** k`` between the two largest sizes: 1 is linear."""
    return math.log(costs[-1] / costs[-2]) / math.log(sizes[-1] / sizes[-2])
