"""What the forms of a model cost and how far they are from it: the table of docs/models.md.

Usage: ``python -m benchmarks.model_table [--rounds N]``.  EfficientNet-Lite0 on real photographs and MiniLM
on real sentences: FP32, FP16, INT8, with zero weights, with fewer channels.  Every form is made here, anew,
with the commands' own functions and a gate that lets all pass, and judged afterwards by the limits that are
the default.  In each round all forms have their turn, at each batch size.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_provider_aiopt.optimize.comparison import CompareOptions, ModelComparison, compare_models
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.export import export_model
from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model
from airflow_provider_aiopt.optimize.models_table import models_table
from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model
from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model
from benchmarks.checks import Check, conclude
from benchmarks.command import ROUNDS, begin, parser
from benchmarks.machine import surroundings
from benchmarks.paths import CACHE, RESULTS, ROOT, TRIES
from benchmarks.sentences import sentences

NAME = "models"
CALLS = 10
BATCH_SIZES = (1, 16)
_CROPS, _EVALUATION_CROPS = 16, 40
_SENTENCES = 240
_OPEN = AccuracyGate(min_agreement=0, max_score_error=9, max_mean_score_error=9, max_accuracy_drop=9)


@dataclass(frozen=True)
class Subject:
    """A model and the data that its forms are made and judged by.

    :param title: its name in the table
    :param name: its name in the catalogue
    :param calibration: what forms are made by
    :param evaluation: other data, which they are judged by
    :param zeros: share of the weights of the form with zero weights
    :param channels: share of the channels that the form with fewer lacks
    """

    title: str
    name: str
    calibration: Path
    evaluation: Path
    zeros: float
    channels: float


def subjects(scratch: Path) -> list[Subject]:
    """Lay out photographs and sentences below *scratch* and return what the table is about."""
    _build_models().lay_out_photographs(scratch)
    every = sentences(2 * _SENTENCES)
    texts = {"calibration": every[::2], "evaluation": every[1::2]}
    files = {name: scratch / f"{name}.txt" for name in texts}
    for name, lines in texts.items():
        files[name].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [
        Subject(
            "EfficientNet-Lite0",
            "efficientnet-lite0",
            scratch / "calibration",
            scratch / "photographs",
            zeros=0.2,
            channels=0.02,
        ),
        Subject(
            "MiniLM-L6-v2", "minilm-l6-v2", files["calibration"], files["evaluation"], zeros=0.3, channels=0.1
        ),
    ]


def make_forms(subject: Subject, folder: Path) -> dict[str, tuple[Path, float]]:
    """Return the model folders of all forms by their names in the table, with the seconds each took to make.

    :param subject: the model and its data
    :param folder: where to put them
    """
    original = folder / "fp32"
    common: dict[str, Any] = {
        "model": original,
        "calibration": subject.calibration,
        "evaluation": subject.evaluation,
        "crops": _CROPS,
        "evaluation_crops": _EVALUATION_CROPS,
        "gate": _OPEN,
    }
    plain = common | {"calibration": None}

    def pruned(name: str, kind: str, amount: float) -> PruneOptions:
        data = common if kind == "structured" else plain
        return PruneOptions(**data, output=folder / name, kind=kind, amount=amount)  # type: ignore[arg-type]

    steps: Mapping[str, tuple[str, Callable[[], object]]] = {
        "FP32": ("fp32", lambda: _exported(subject.name, original)),
        "FP16": ("fp16", lambda: convert_model(Fp16Options(**plain, output=folder / "fp16"))),
        "INT8": ("int8", lambda: quantize_model(QuantizeOptions(**common, output=folder / "int8"))),
        f"{subject.zeros:.0%} of weights zero": (
            "sparse",
            lambda: prune_model(pruned("sparse", "magnitude", subject.zeros)),
        ),
        f"{subject.channels:.0%} of channels removed": (
            "pruned",
            lambda: prune_model(pruned("pruned", "structured", subject.channels)),
        ),
    }
    made = {}
    for name, (place, step) in steps.items():
        began = time.perf_counter()
        step()
        made[name] = (folder / place, time.perf_counter() - began)
    return made


def measure(
    subject: Subject, forms: Mapping[str, tuple[Path, float]], device: str, rounds: int
) -> ModelComparison:
    """Compare all forms on *device*."""
    return compare_models(
        CompareOptions(
            models=tuple(path for path, _ in forms.values()),
            data=subject.evaluation,
            crops=_EVALUATION_CROPS,
            batch_sizes=BATCH_SIZES,
            rounds=rounds,
            calls=CALLS,
            device=device,
        )
    )


def devices() -> tuple[str, ...]:
    """Return where the forms can be run here."""
    import onnxruntime

    return ("cpu", "cuda") if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else ("cpu",)


def values(
    subject: Subject, device: str, found: ModelComparison, forms: Mapping[str, tuple[Path, float]]
) -> dict[str, Any]:
    """Return one comparison as JSON values."""
    rows = [
        asdict(model) | {"form": name, "made_in_s": round(seconds, 1)}
        for model, (name, (_, seconds)) in zip(found.models, forms.items(), strict=True)
    ]
    return {
        "model": subject.title,
        "device": device,
        "data": found.data,
        "records": found.records,
        "forms": rows,
    }


def checks(found: list[dict[str, Any]]) -> list[Check]:
    """Return what must hold whatever the machine is; the gate's verdicts are findings, not targets."""
    made = []
    for item in (item for item in found if item["device"] == "cpu"):
        forms = {form["precision"]: form for form in reversed(item["forms"])}
        share = forms["int8"]["size_bytes"] / forms["fp32"]["size_bytes"]
        made.append(Check(f"{item['model']}: size of INT8, of FP32", share, 0.3, at_most=True))
    return made


def main() -> int:
    """Make the forms, compare them, print and write the table; return the exit code."""
    arguments = parser(__doc__).parse_args()
    warning = begin(arguments.cores)
    around = surroundings()
    found, tables = [], []
    with tempfile.TemporaryDirectory(dir=_cache()) as scratch:
        for subject in subjects(Path(scratch)):
            forms = make_forms(subject, Path(scratch) / subject.name)
            for device in devices():
                comparison = measure(subject, forms, device, arguments.rounds)
                found.append(values(subject, device, comparison, forms))
                tables.append(models_table(comparison))
    content = {**around, "warning": warning, "rounds": arguments.rounds, "calls": CALLS, "models": found}
    results = RESULTS if arguments.rounds >= ROUNDS else TRIES
    conclude(NAME, content, tables, checks(found), results)
    Console().print("The page: python scripts/render_models.py")
    return int(any(not check.met for check in checks(found)))


def _exported(name: str, target: Path) -> None:
    """Export a model once: it is the same each time."""
    kept = CACHE / name.replace("-", "_")
    if not (kept / "model.json").is_file():
        export_model(name, kept)
    shutil.copytree(kept, target)


def _cache() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE


def _build_models() -> Any:
    spec = importlib.util.spec_from_file_location("build_models", ROOT / "scripts" / "build_models.py")
    if spec is None or spec.loader is None:
        raise SystemExit("scripts/build_models.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
