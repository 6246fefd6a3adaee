"""What all sections of a spec have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _require_kind(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema what loading demands: in a file, ``kind`` tells the forms of a section apart."""
    if "kind" in schema["properties"]:
        schema["required"] = ["kind", *schema.get("required", [])]


class SpecModel(BaseModel):
    """A frozen section of a spec that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        str_min_length=1,
        json_schema_extra=_require_kind,
    )


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(_as_tuple, json_schema_input_type=str | Annotated[tuple[str, ...], Field(min_length=1)]),
]
"""One glob pattern or several."""

StorageOptions = Annotated[dict[str, Any], Field(repr=False)]
"""Keyword arguments of an fsspec file system; kept out of ``repr`` since they may hold credentials."""
