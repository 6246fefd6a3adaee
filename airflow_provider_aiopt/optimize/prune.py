"""Pruning a model folder behind an accuracy gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airflow_provider_aiopt.exceptions import ModelInputError, SpecError
from airflow_provider_aiopt.optimize.graph import name_nodes, strip_debug_information
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.options import OptimizeOptions
from airflow_provider_aiopt.optimize.pruners import remove_channels, zero_weights
from airflow_provider_aiopt.optimize.publishing import Method, OptimizeReport, publish
from airflow_provider_aiopt.optimize.samples import Samples

PruneKind = Literal["magnitude", "structured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions(OptimizeOptions):
    """What ``aiopt model prune`` takes, beside what every optimisation does.

    :param kind: ``magnitude`` sets the smallest weights to zero, ``structured`` removes channels
    :param amount: share of the weights, or of the removable channels, above 0 and below 1
    """

    kind: PruneKind
    amount: float


def prune_model(options: PruneOptions) -> OptimizeReport:
    """Prune a model folder, compare it with the original, and write it if it passes the gate.

    :param options: what to prune, how much of it, and what is allowed
    :returns: what changed
    :raises SpecError: if the amount is no share
    :raises ModelInputError: if the graph has nothing that can be pruned
    :raises ModelError: and others, as :func:`~.publishing.publish` has them
    """
    if not 0 < options.amount < 1:
        raise SpecError(f"--amount is {options.amount:g}; give a share above 0 and below 1, such as 0.2")
    return publish(options, pruning(options))


def pruning(options: PruneOptions) -> Method:
    """Return the method that *options* ask for."""

    def apply(source: Path, target: Path, calibration: Samples | None) -> str:
        onnx = require("onnx", "Pruning a model")
        model = onnx.load(str(source))
        name_nodes(model)
        if options.kind == "structured" and calibration is not None:
            done = remove_channels(model, calibration.feeds, options.amount, seed=options.seed)
        else:
            done = zero_weights(model, options.amount)
        if not done:
            raise ModelInputError(f"{options.model} has nothing to prune: {_WANTED[options.kind]}")
        onnx.checker.check_model(model)
        strip_debug_information(model)
        onnx.save(model, str(target))
        return done

    structured = options.kind == "structured"
    return Method(
        command="prune",
        suffix="pruned" if structured else "sparse",
        precision="fp32",
        apply=apply,
        words=("--kind", options.kind, "--amount", f"{options.amount:g}"),
        needs_calibration=structured,
        remedy="prune less (a smaller --amount)"
        + (", or give more calibration data that look like the real ones" if structured else ""),
    )


_WANTED = {
    "magnitude": "it has no convolution or matrix product with constant weights",
    "structured": "no layer's channels are read by such layers alone as mix them again. Try --kind magnitude",
}
