"""Reading a spec from YAML, JSON or plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import ValidationError

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.messages import describe_errors
from airflow_provider_aiopt.spec.model import BUILTIN_SCHEME
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.spec.source import PYTHON_SCHEME

SpecLike: TypeAlias = "PipelineSpec | Mapping[str, Any] | str | os.PathLike[str]"
"""A spec, its plain values, or the path of a YAML or JSON file that holds them."""

_PATHS = (
    ("source", "uri"),
    ("source", "manifest"),
    ("model", "uri"),
    ("model", "labels"),
    ("sink", "uri"),
    ("cache", "uri"),
)


def load_spec(value: SpecLike, *, overrides: Mapping[str, Any] | None = None) -> PipelineSpec:
    """Build a spec and check it.

    Relative paths that a spec *file* gives are relative to the file's folder; those from elsewhere, the
    overrides among them, to the working directory.

    :param value: a spec, its plain values, or the path of a YAML or JSON file
    :param overrides: values by dotted key that replace the spec's own, for example
        ``{"execution.shards": 4}``
    :raises SpecError: naming every key at fault, what was found and what is allowed
    """
    if isinstance(value, PipelineSpec) and not overrides:
        return value
    origin, data, folder = _plain_values(value)
    for key, item in (overrides or {}).items():
        data = _replaced(data, key.split("."), item, key)
    try:
        spec = PipelineSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(describe_errors(error, origin, PipelineSpec)) from None
    return _anchored(spec, folder, overrides or ()) if folder else spec


def spec_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the spec, for editors and other programs."""
    schema = PipelineSpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _plain_values(value: SpecLike) -> tuple[str, dict[str, Any], Path | None]:
    if isinstance(value, PipelineSpec):
        return "The pipeline spec", value.model_dump(), None
    if isinstance(value, Mapping):
        return "The pipeline spec", dict(value), None
    if not isinstance(value, str | os.PathLike):
        raise SpecError(
            f"A pipeline spec is a mapping or the path of a YAML or JSON file; found {type(value).__name__}"
        )
    path = Path(value)
    data = _read(path)
    if not isinstance(data, dict):
        raise SpecError(f"{path} must hold a mapping at its top level; found {type(data).__name__}")
    return f"The pipeline spec {path}", data, path.resolve().parent


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"Cannot read the pipeline spec {path}: {reason}") from error
    try:
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise SpecError(f"{path} is not valid {kind}: {' '.join(str(error).split())}") from error


def _replaced(data: Mapping[str, Any], keys: list[str], item: Any, dotted: str) -> dict[str, Any]:
    head, *rest = keys
    if not rest:
        return {**data, head: item}
    inner = data.get(head) or {}
    if not isinstance(inner, Mapping):
        raise SpecError(f"Cannot set {dotted}: {head} is not a section but {inner!r}")
    return {**data, head: _replaced(inner, rest, item, dotted)}


def _anchored(spec: PipelineSpec, folder: Path, overridden: Collection[str]) -> PipelineSpec:
    """Make the relative local paths that the file itself gave absolute."""
    changes: dict[str, dict[str, str]] = {}
    for section, key in _PATHS:
        value = getattr(getattr(spec, section), key, None)  # an optional section may be absent
        if value and section not in overridden and f"{section}.{key}" not in overridden:
            changes.setdefault(section, {})[key] = _absolute(value, folder)
    return spec.model_copy(
        update={
            section: getattr(spec, section).model_copy(update=paths) for section, paths in changes.items()
        }
    )


def _absolute(uri: str, folder: Path) -> str:
    if "://" in uri or uri.startswith((BUILTIN_SCHEME, PYTHON_SCHEME)):
        return uri
    try:
        return str(folder / Path(uri).expanduser())
    except RuntimeError as error:
        raise SpecError(f"There is no home folder to put in the place of '~' in {uri}: {error}") from error
