"""Exporting a catalogue model to a model folder."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.exceptions import ModelNotFoundError
from airflow_provider_aiopt.optimize.folder import (
    LABELS_FILE,
    MODEL_FILE,
    file_sha256,
    new_model_folder,
    write_card,
)
from airflow_provider_aiopt.optimize.graph import opset, tensor_cards
from airflow_provider_aiopt.optimize.imports import pinned, require, versions
from airflow_provider_aiopt.optimize.models import CATALOGUE, CatalogueModel
from airflow_provider_aiopt.optimize.torch_export import TOLERANCE
from airflow_provider_aiopt.spec.card import ModelCard


def export_model(name: str, output: Path) -> ModelCard:
    """Export the model *name* of the catalogue, in FP32, with its card, labels or tokenizer and licences.

    :param name: a key of :data:`~airflow_provider_aiopt.optimize.models.CATALOGUE`
    :param output: the model folder to write; a model folder that is there is replaced
    :returns: the card of the new folder
    :raises ModelNotFoundError: if there is no such model, or if its weights are not installed
    :raises MissingExtraError: if the exporter is not installed
    :raises ModelAccuracyError: if the exported graph does not answer what the PyTorch module answers
    :raises StorageError: if the folder cannot be written
    """
    model = CATALOGUE.get(name)
    if model is None:
        raise ModelNotFoundError(f"There is no model {name!r} to export; there is: {', '.join(CATALOGUE)}")
    with new_model_folder(output) as folder:
        model.build(folder / MODEL_FILE)
        model.assets(folder)
        card = _card(model, folder, command=f"aiopt model export {name} --output {output.name}")
        write_card(folder, card)
    return card


def _card(model: CatalogueModel, folder: Path, *, command: str) -> ModelCard:
    graph_model = require("onnx", "Exporting a model").load(str(folder / MODEL_FILE))
    return ModelCard(
        name=model.name,
        task=model.task,
        file=MODEL_FILE,
        sha256=file_sha256(folder / MODEL_FILE),
        licence=model.licence,
        source=pinned(*model.distributions),
        command=command,
        precision="fp32",
        opset=opset(graph_model),
        inputs=tensor_cards(graph_model.graph.input),
        outputs=tensor_cards(graph_model.graph.output),
        preprocess=dict(model.preprocess),
        labels=LABELS_FILE if (folder / LABELS_FILE).is_file() else None,
        evaluation={"reference": "PyTorch module", "output_error_below": TOLERANCE},
        versions=versions("torch", "onnx", "onnxscript", "onnxruntime", "transformers")
        if model.task == "text-embedding"
        else versions("torch", "onnx", "onnxscript", "onnxruntime"),
    )
