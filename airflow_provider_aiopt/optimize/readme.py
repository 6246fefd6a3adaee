"""The README of a model folder, written from its card so that no figure is copied by hand."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_aiopt.spec.card import ModelCard, TensorCard


def readme_text(card: ModelCard, licences: Sequence[str]) -> str:
    """Return Markdown that says what a model is, where it comes from and how it was measured.

    :param card: the model's card
    :param licences: names of the licence files beside it
    """
    sections = [
        f"# {card.name}",
        (
            f"Made by `aiopt model`; this file and `model.json` say the same. Task: {card.task}. "
            f"Precision: {card.precision}. ONNX operator set: {card.opset}."
        ),
        "## Provenance",
        _table(_provenance(card, licences)),
        "## Tensors",
        _table([*_tensors("input", card.inputs), *_tensors("output", card.outputs)]),
    ]
    if card.evaluation:
        sections += ["## Evaluation", _EVALUATION, _table(list(card.evaluation.items()))]
    if card.gate:
        sections += ["## Accuracy gate", _GATE, _table(list(card.gate.items()))]
    if card.versions:
        sections += ["## Made with", _table(list(card.versions.items()))]
    return "\n\n".join(sections) + "\n"


_EVALUATION = (
    "`agreement` is the share of records on which both models put the same class (or the same nearest "
    "neighbour) first, `confident_agreement` the same over the records that the original scores at 0.5 or "
    "more. An error is the largest difference between the two models' scores for one record; a score lies "
    "between 0 and 1 for classes, between -1 and 1 for embeddings. An accuracy is the share of labelled "
    "records that a model classifies right."
)

_GATE = "Passed. A model beyond any of these limits is not written."


def _provenance(card: ModelCard, licences: Sequence[str]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("file", f"`{card.file}`"),
        ("sha256", f"`{card.sha256}`"),
        ("licence of the weights", card.licence),
        ("licence files", ", ".join(f"`{name}`" for name in licences) or "none"),
        ("source", ", ".join(f"`{item}`" for item in card.source)),
        ("command", f"`{card.command}`"),
    ]
    if card.original:
        rows += [
            ("made from", f"`{card.original.name}`"),
            ("its sha256", f"`{card.original.sha256}`"),
            ("its command", f"`{card.original.command}`"),
        ]
    if card.method:
        rows.append(("method", card.method))
    return rows


def _tensors(kind: str, tensors: Sequence[TensorCard]) -> list[tuple[str, object]]:
    return [
        (kind, f"`{item.name}` {item.dtype} [{', '.join(str(axis) for axis in item.shape)}]")
        for item in tensors
    ]


def _table(rows: Sequence[tuple[str, object]]) -> str:
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *lines])
