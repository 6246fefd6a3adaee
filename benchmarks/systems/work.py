"""The command line and the answer that all systems share."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import installed_versions

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Work:
    """What a system is given.

    :param images: folder of JPEGs
    :param model: model folder or ``builtin:NAME``
    :param options: the system's own settings
    """

    images: Path
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def files(self) -> list[str]:
        """Return the paths of the images, in the order of their names."""
        with os.scandir(self.images) as items:
            return sorted(item.path for item in items)

    @property
    def cores(self) -> int:
        """Cores that the process may use."""
        return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Outcome:
    """What a system answers.

    :param seconds: from the moment that its libraries are imported and its model is loaded to the last result
    :param labels: the best label by file name
    :param scores: the best label's score by file name
    :param details: anything else worth keeping
    """

    seconds: float
    labels: Mapping[str, str]
    scores: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


def serve(system: Callable[[Work], Outcome]) -> None:
    """Run *system* as the command line says and print its answer as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--options", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--labels-to", type=Path, help="write the labels to this file, as JSON")
    arguments = parser.parse_args()
    outcome = system(Work(arguments.images, arguments.model, arguments.options))
    if arguments.labels_to is not None:
        arguments.labels_to.write_text(json.dumps(dict(outcome.labels)))
    print(json.dumps(_answer(outcome)), flush=True)


def _answer(outcome: Outcome) -> dict[str, Any]:
    return {
        "images": len(outcome.labels),
        "seconds": outcome.seconds,
        "results_digest": digest(outcome.labels),
        "mean_score": sum(outcome.scores.values()) / max(1, len(outcome.scores)),
        "peak_memory_bytes": peak_memory(),
        "versions": installed_versions(),
        **outcome.details,
    }


def digest(labels: Mapping[str, str]) -> str:
    """Return a digest of labels by file name, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()


def peak_memory() -> int:
    """Return the peak resident set of this process alone, in bytes."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
