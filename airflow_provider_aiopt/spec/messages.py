"""Turning pydantic's errors into messages that say what was found and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN_LENGTH = 80


def describe_errors(error: ValidationError, origin: str, model: type[BaseModel]) -> str:
    """Return one message for all *error*'s faults, a line for each.

    :param error: what pydantic raised
    :param origin: what was read, as the subject of the sentence
    :param model: the model that it was read as
    """
    lines = [_describe(details, model) for details in error.errors()]
    noun = "error" if len(lines) == 1 else "errors"
    return f"{origin} has {len(lines)} {noun}:\n" + "\n".join(f"  {line}" for line in lines)


def _describe(details: ErrorDetails, model: type[BaseModel]) -> str:
    keys = [str(part) for part in details["loc"]]
    where = ".".join(_visible(keys, details)) or "spec"
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key; {_alternatives(keys, model)}"
    if kind == "missing":
        return f"{where}: missing; this key is required"
    message = details["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{where}: {message}"
    if kind.startswith("union_tag"):
        return f"{where}: found {_shown(_tag_of(details))}; allowed: {_allowed_tags(keys, model)}"
    return f"{where}: found {_shown(details['input'])}; {message[0].lower()}{message[1:]}"


def _visible(keys: Sequence[str], details: ErrorDetails) -> list[str]:
    """Drop the union tags that pydantic puts into a location: no user wrote them."""
    tags = {"image", "text", "tabular", "classification", "embedding", "raw"}
    inner = [key for index, key in enumerate(keys) if not (index == 1 and key in tags)]
    return [*inner, "kind"] if details["type"].startswith("union_tag") else inner


def _shown(value: Any) -> str:
    text = repr(value)
    text = text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
    return f"{text} ({type(value).__name__})"


def _tag_of(details: ErrorDetails) -> Any:
    given = details["input"]
    return given.get("kind") if isinstance(given, Mapping) else given


def _allowed_tags(keys: Sequence[str], model: type[BaseModel]) -> str:
    field = model.model_fields[keys[0]]
    return ", ".join(filter(None, (_tag(item) for item in _models(field.annotation))))


def _alternatives(keys: Sequence[str], model: type[BaseModel]) -> str:
    section = _section(keys[:-1], model)
    allowed = sorted(section.model_fields) if section else []
    close = difflib.get_close_matches(keys[-1], allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed)}"


def _section(keys: Sequence[str], model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model that the location *keys* leads to."""
    current: type[BaseModel] | None = model
    for key in keys:
        if current is None:
            return None
        field = current.model_fields.get(key)
        if field is None:
            continue
        models = _models(field.annotation)
        tagged = [item for item in models if _tag(item) in keys]
        current = next(iter(tagged or models), None)
    return current


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _tag(model: type[BaseModel]) -> str | None:
    field: Mapping[str, Any] = model.model_fields
    return field["kind"].default if "kind" in field else None
