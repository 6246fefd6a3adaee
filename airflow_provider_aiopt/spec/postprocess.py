"""How a model's output becomes a result."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_provider_aiopt.spec.base import SpecModel


class ClassificationSpec(SpecModel):
    """Class scores: the best label, its score and the *top_k* best.

    :param kind: ``classification``
    :param top_k: how many labels a result lists; fewer where the model has fewer classes
    :param activation: what turns the model's output into scores: ``softmax`` over the classes, ``sigmoid``
        for each class apart, or ``none`` where the model already answers scores
    :param output: name of the model's output; default its first
    """

    kind: Literal["classification"] = "classification"
    top_k: int = Field(default=5, ge=1)
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    output: str | None = None


class EmbeddingSpec(SpecModel):
    """One vector per record.

    :param kind: ``embedding``
    :param pooling: ``mean`` over the tokens that are not padding, ``cls`` for the first token, ``none`` where
        the model already answers one vector
    :param normalize: whether to scale the vector to length 1
    :param output: name of the model's output; default its first
    """

    kind: Literal["embedding"] = "embedding"
    pooling: Literal["mean", "cls", "none"] = "mean"
    normalize: bool = True
    output: str | None = None


class RawOutputSpec(SpecModel):
    """The model's output as it is, flattened to one vector per record.

    :param kind: ``raw``
    :param output: name of the model's output; default its first
    """

    kind: Literal["raw"] = "raw"
    output: str | None = None


PostprocessSpec = Annotated[ClassificationSpec | EmbeddingSpec | RawOutputSpec, Field(discriminator="kind")]
"""Any of the kinds, told apart by ``kind``."""
