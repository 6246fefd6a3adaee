"""Models side by side, as a table for a terminal and as values for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.optimize.comparison import ComparedModel, ModelComparison
from airflow_provider_aiopt.telemetry import units

if TYPE_CHECKING:
    from rich.table import Table


def models_values(comparison: ModelComparison) -> dict[str, Any]:
    """Return a comparison as JSON values: sizes in bytes, times in seconds, latencies by batch size.

    :param comparison: what :func:`~.comparison.compare_models` returned
    """
    return asdict(comparison)


def models_table(comparison: ModelComparison) -> Table:
    """Lay the models out, one to a column, one figure to a row.

    :param comparison: what :func:`~.comparison.compare_models` returned
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{comparison.models[0].name} and its forms"),
        caption=Text(f"Over {comparison.records} records: {comparison.data}. Times are of this machine"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("")
    for model in comparison.models:
        table.add_column(Text(model.folder), justify="right", overflow="fold")
    for name, cells in figure_rows(comparison):
        table.add_row(Text(name), *map(Text, cells))
    return table


def figure_rows(comparison: ModelComparison) -> list[tuple[str, list[str]]]:
    """Return the rows of the table: a figure's name, and its text for each model."""
    models = comparison.models
    rows = [
        ("precision", [model.precision for model in models]),
        ("size", [units.size(model.size_bytes) for model in models]),
    ]
    for size in models[0].latency:
        every = [model.latency[size] for model in models]
        rows += [
            (f"p50, batch of {size}", [units.duration(latency.p50_s) for latency in every]),
            (f"p95, batch of {size}", [units.duration(latency.p95_s) for latency in every]),
            (f"items/s, batch of {size}", [f"{latency.items_per_s:,.1f}" for latency in every]),
        ]
    rows += [
        ("same first answer", _evaluated(models, lambda item: units.share(item.agreement))),
        ("largest score error", _evaluated(models, lambda item: f"{item.max_score_error:.4f}")),
        ("mean score error", _evaluated(models, lambda item: f"{item.mean_score_error:.4f}")),
    ]
    accuracies = [model.evaluation.accuracy for model in models if model.evaluation]
    if accuracies and None not in accuracies:
        rows.append(("accuracy", _accuracies(models)))
    rows.append(("gate", ["reference", *("beyond" if model.faults else "passes" for model in models[1:])]))
    return rows


def _evaluated(models: tuple[ComparedModel, ...], show: Any) -> list[str]:
    return ["" if model.evaluation is None else show(model.evaluation) for model in models]


def _accuracies(models: tuple[ComparedModel, ...]) -> list[str]:
    first = next(model.evaluation.original_accuracy for model in models if model.evaluation)
    others = [model.evaluation.accuracy for model in models if model.evaluation]
    return [units.share(value) if value is not None else "" for value in (first, *others)]
