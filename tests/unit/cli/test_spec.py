from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from airflow_provider_aiopt.cli.main import main

SPEC = {"source": {"uri": "photos"}, "model": {"uri": "builtin:efficientnet-lite0-int8"}}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return path


def test_a_good_spec_is_said_to_be(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "check", str(spec)]) == 0
    assert capsys.readouterr().out == f"{spec}: ok\n"


def test_every_fault_is_named_at_once(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(yaml.safe_dump(SPEC | {"exec": {}, "sink": {"compression": "rar"}}))
    assert main(["spec", "check", str(spec)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "has 2 errors" in err
    assert "sink.compression: found 'rar'" in err
    assert "exec: unknown key; did you mean 'execution'?" in err


def test_the_defaults_can_be_seen(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "check", str(spec), "--show"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["execution"]["batch_size"] == 8
    assert shown["source"]["uri"] == str(spec.parent / "photos")


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "check", "/nowhere.yaml"]) == 1
    assert capsys.readouterr().err == (
        "aiopt: Cannot read the pipeline spec /nowhere.yaml: No such file or directory\n"
    )


def test_the_schema_accepts_what_is_a_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(SPEC, schema)
    with pytest.raises(jsonschema.ValidationError, match="'exec'"):
        jsonschema.validate(SPEC | {"exec": {}}, schema)
