"""Turning pydantic's errors into messages that say what was found and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN_LENGTH = 80
_EXPECTED = {
    "dict_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "model_type": "must be a mapping",
    "too_long": "takes {max_length} at most",
    "too_short": "needs {min_length} at least",
    "tuple_type": "must be a list",
}


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
    where = ".".join(_visible(keys, model)) or "spec"
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key; {_alternatives(keys, model)}"
    if kind == "value_error":
        return f"{where}: {details['msg'].removeprefix('Value error, ')}"
    if kind == "union_tag_not_found":
        return f"{where}.kind: missing; allowed: {', '.join(_tags(keys, model))}"
    if kind == "union_tag_invalid":
        found = _shown(details["input"].get("kind"))
        return f"{where}.kind: found {found}; allowed: {', '.join(_tags(keys, model))}"
    if kind == "missing" and isinstance(details["loc"][-1], str):
        return f"{where}: missing; this key is required"
    return _describe_value(where, details)


def _describe_value(where: str, details: ErrorDetails) -> str:
    found = _type_of(details["input"]) if "storage_options" in details["loc"] else _shown(details["input"])
    if details["type"] == "missing":  # the rest of a list of fixed length
        where, _, length = where.rpartition(".")
        return f"{where}: found {found}; {length} are too few"
    if details["type"] in _EXPECTED:
        return f"{where}: found {found}; {_EXPECTED[details['type']].format(**details.get('ctx', {}))}"
    return f"{where}: found {found}; {details['msg'][0].lower()}{details['msg'][1:]}"


def _visible(keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Drop the union tag that pydantic puts after a section's name: no user wrote it."""
    return [*keys[:1], *keys[2:]] if len(keys) > 1 and keys[1] in _tags(keys, model) else list(keys)


def _shown(value: Any) -> str:
    """Return *value* and its type; what may hold a section, and so credentials, by its type alone."""
    plain = value if isinstance(value, list | tuple) else [value]
    if not all(item is None or isinstance(item, str | int | float) for item in plain):
        return _type_of(value)
    text = repr(value)
    text = text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
    return "nothing" if value is None else f"{text} ({type(value).__name__})"


def _type_of(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _tags(keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Return the kinds of the section that *keys* begins with, none where it has only one form."""
    field = model.model_fields.get(keys[0])
    return [tag for item in _models(field.annotation) if (tag := _tag(item))] if field else []


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
