"""Arguments that several commands have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.command import argument
from airflow_provider_aiopt.exceptions import SpecError

if TYPE_CHECKING:
    from airflow_provider_aiopt.spec.pipeline import PipelineSpec

_ALLOWED = "AIOPT_ALLOWED_CALLABLES"

SPEC = argument("spec", metavar="SPEC", help="pipeline spec, a YAML or JSON file")
SET = argument(
    "--set",
    action="append",
    default=[],
    metavar="KEY=VALUE",
    help="replace a value of the spec, for example execution.shards=4; may be repeated",
)
ALLOW_CALLABLES = argument(
    "--allow-callables",
    action="append",
    metavar="PREFIX",
    help="let the spec name Python callables under this dotted path, in source.uri and "
    f"preprocess.transform; may be repeated (default: ${_ALLOWED})",
)


def read_spec(path: str, settings: Sequence[str]) -> PipelineSpec:
    """Read the spec that a command line names.

    :param path: its file
    :param settings: values to replace, each as ``KEY=VALUE``
    :raises SpecError: naming every fault
    """
    from airflow_provider_aiopt.spec.loading import load_spec

    return load_spec(path, overrides=dict(map(_override, settings)))


def allowed_callables(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the prefixes of the dotted paths that a spec may name.

    :param given: those of the command line; None for those of the environment
    """
    from airflow_provider_aiopt.data.callables import split_prefixes

    return split_prefixes(" ".join([os.environ.get(_ALLOWED, "")] if given is None else given))


def _override(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SpecError(f"--set takes KEY=VALUE, for example execution.shards=4; found {text!r}")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {key}: {value!r} is not valid YAML: {error}") from None
