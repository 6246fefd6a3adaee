"""Applying what was recommended: from changes to what a spec, Airflow and a program are given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec

_OPTION = re.compile(r"\[(?P<section>\w+)\] (?P<key>\w+)")


def changed_spec(spec: PipelineSpec, changes: Iterable[Change]) -> PipelineSpec:
    """Return a spec with the changes that concern it.

    :param spec: the pipeline
    :param changes: of any scope
    :raises SpecError: if a change does not fit the spec
    """
    return load_spec(spec, overrides=spec_overrides(changes))


def spec_overrides(changes: Iterable[Change]) -> Mapping[str, JsonValue]:
    """Return the values to set in a spec by their keys, as :func:`load_spec` takes them."""
    return {change.key: change.value for change in changes if change.scope == "spec"}


def airflow_environment(changes: Iterable[Change]) -> Mapping[str, str]:
    """Return the environment variables that set Airflow's options."""
    options = (
        (match["section"], match["key"], change.value)
        for change in changes
        if change.scope == "airflow" and (match := _OPTION.fullmatch(change.key))
    )
    return {f"AIRFLOW__{section}__{key}".upper(): str(value) for section, key, value in options}


def pool_slots(changes: Iterable[Change]) -> Mapping[str, int]:
    """Return the slots that pools are to have, by their names."""
    return {
        change.key: change.value
        for change in changes
        if change.scope == "pool" and isinstance(change.value, int)
    }
