"""The JSON Schema says the same as the models, as far as a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from spec_strategies import specs

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.spec import spec_json_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "pipeline-spec.schema.json"
VALIDATOR = Draft202012Validator(spec_json_schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(spec_json_schema())


@given(specs)
def test_it_takes_every_valid_spec(values: dict[str, Any]) -> None:
    VALIDATOR.validate(values)


@pytest.mark.parametrize(
    "sections",
    [
        {"sauce": {}},
        {"source": {}},
        {"source": {"uri": ""}},
        {"source": {"uri": "x", "patern": "*"}},
        {"source": {"uri": "x", "format": "tsv"}},
        {"source": {"uri": "x", "pattern": 7}},
        {"source": {"uri": "x", "pattern": []}},
        {"name": ".."},
        {"execution": None},
        {"execution": {"shards": 0}},
        {"execution": {"batch_size": 0}},
        {"execution": {"batch_size": "fast"}},
        {"execution": {"batching": {"pad_to": [0]}}},
        {"preprocess": {"kind": "imgae"}},
        {"preprocess": {"size": 3}},
        {"preprocess": {"kind": "image", "mean": [1, 2]}},
        {"preprocess": {"kind": "image", "std": [1, 1, 0]}},
        {"postprocess": {"kind": "embedding", "top_k": 3}},
        {"sink": {"compression": "zip"}},
        {"model": {"uri": "m", "sha256": "xyz"}},
    ],
)
def test_it_refuses_what_loading_refuses(sections: dict[str, Any]) -> None:
    values = {"source": {"uri": "x"}, "model": {"uri": "m"}} | sections

    assert not VALIDATOR.is_valid(values)


def test_the_published_one_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "schema"]) == 0

    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json.loads(capsys.readouterr().out), (
        f"Write it again: aiopt spec schema > docs/{PUBLISHED.name}"
    )
