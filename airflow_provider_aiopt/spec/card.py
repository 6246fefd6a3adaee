"""The model card: what a model folder says about its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, TypeAdapter, ValidationError, model_validator

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.base import SpecModel
from airflow_provider_aiopt.spec.messages import describe_errors
from airflow_provider_aiopt.spec.preprocess import PreprocessSpec

CARD_FILE = "model.json"
"""Name of the card within a model folder."""

Task = Literal["image-classification", "text-embedding", "other"]
Precision = Literal["fp32", "fp16", "int8"]

_Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
_FileName = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")

_preprocess: TypeAdapter[PreprocessSpec] = TypeAdapter(PreprocessSpec)


class TensorCard(SpecModel):
    """Name, type and shape of an input or output.

    :param name: its name in the graph
    :param dtype: numpy's name of its element type
    :param shape: its axes; a name such as ``batch`` where an axis may have any length
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class OriginalCard(SpecModel):
    """The model that an optimised one was made from.

    :param name: its name
    :param sha256: hash of its file
    :param command: the command that made it
    """

    name: str
    sha256: str = _Sha256
    command: str


class ModelCard(SpecModel):
    """What a model is, where it comes from, how to feed it and how well it does.

    A card holds nothing that depends on the machine or the day: making a model again gives the same card.

    :param name: name of the model
    :param task: what it answers
    :param file: name of the model file within the folder
    :param sha256: hash of the model file; a file with another one is refused
    :param licence: SPDX expression of the weights' licence
    :param source: distributions, with versions, that the weights and labels come from
    :param command: the command that made the folder, its paths reduced to their last part
    :param original: the model before optimisation; None for one that was exported
    :param method: what was done to it
    :param precision: number format of weights and activations
    :param opset: version of the ONNX operator set
    :param inputs: the graph's inputs; the first axis is the batch
    :param outputs: the graph's outputs
    :param preprocess: a ``preprocess`` section for specs that have none; empty where there is nothing to say
    :param labels: name of the file with one class name per line; None where there are no classes
    :param evaluation: measured figures, how many records they are over and which data those were
    :param gate: the limits that the figures had to keep to
    :param versions: versions of the programs that made the file
    """

    schema_version: Literal[1] = 1
    name: str
    task: Task
    file: str = _FileName
    sha256: str = _Sha256
    licence: str
    source: tuple[str, ...]
    command: str
    original: OriginalCard | None = None
    method: str | None = None
    precision: Precision
    opset: int = Field(ge=1)
    inputs: tuple[TensorCard, ...] = Field(min_length=1)
    outputs: tuple[TensorCard, ...] = Field(min_length=1)
    preprocess: dict[str, JsonValue] = Field(default_factory=dict)
    labels: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")
    evaluation: dict[str, int | float | str] = Field(default_factory=dict)
    gate: dict[str, float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _preprocess_is_a_spec_section(self) -> Self:
        if self.preprocess:
            try:
                _preprocess.validate_python(dict(self.preprocess))
            except ValidationError as error:
                fault = error.errors()[0]
                where = ".".join(("preprocess", *(str(key) for key in fault["loc"])))
                raise ValueError(f"{where}: found {fault['input']!r}; {fault['msg']}") from None
        return self

    def to_json(self) -> str:
        """Return the card as JSON text that :func:`parse_card` reads back."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def parse_card(content: bytes | str, origin: str) -> ModelCard:
    """Build a card from JSON text.

    :param content: the text of a ``model.json``
    :param origin: where it was read, for messages
    :raises SpecError: naming every key at fault, what was found and what is allowed
    """
    try:
        data = json.loads(content)
    except ValueError as error:
        raise SpecError(f"{origin} is no JSON: {error}. {_REMEDY}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{origin} must hold a JSON object; found {type(data).__name__}. {_REMEDY}")
    try:
        return ModelCard.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{describe_errors(error, origin, ModelCard)}\n{_REMEDY}") from None


def load_card(folder: Path) -> ModelCard:
    """Read the card of a model folder on this machine.

    :param folder: a folder as ``aiopt model export`` makes it
    :raises SpecError: if there is no card or it is wrong
    """
    path = folder / CARD_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"{folder} is no model folder: {path} cannot be read ({error.strerror}). {_REMEDY}"
        ) from None
    return parse_card(content, str(path))


_REMEDY = "Make the folder again with: aiopt model export NAME --output DIR"
