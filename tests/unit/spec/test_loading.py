from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from spec_strategies import specs

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec import PipelineSpec, load_spec

MINIMAL: dict[str, Any] = {"source": {"uri": "photos"}, "model": {"uri": "builtin:any"}}


def without_paths(spec: PipelineSpec) -> dict[str, Any]:
    """The spec's values, less those that a file anchors to its own folder."""
    values = spec.model_dump()
    for section, key in (("source", "uri"), ("model", "uri"), ("model", "labels"), ("sink", "uri")):
        del values[section][key]
    if values["cache"]:
        del values["cache"]["uri"]
    return values


@given(specs)
def test_every_valid_spec_survives_yaml_json_and_plain_values(values: dict[str, Any]) -> None:
    spec = load_spec(values)

    assert load_spec(yaml.safe_load(spec.to_yaml())) == spec
    assert load_spec(json.loads(spec.to_json())) == spec
    assert load_spec(spec.to_dict()) == spec


@given(values=specs)
@settings(max_examples=25)
def test_every_valid_spec_survives_a_file(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    overrides = {"source.uri": "x", "model.uri": "x", "model.labels": "x", "sink.uri": "x"}
    if values["source"]["format"] == "python":
        overrides["source.uri"] = "python:a.b"
    if (cache := values.get("cache")) and "://" not in cache["uri"]:
        overrides["cache.uri"] = "x"
    spec = load_spec(values, overrides=overrides)
    folder = tmp_path_factory.mktemp("spec")
    (folder / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    (folder / "spec.json").write_text(spec.to_json(), encoding="utf-8")

    for name in ("spec.yaml", "spec.json"):
        assert without_paths(load_spec(folder / name)) == without_paths(spec)


def test_a_spec_is_its_own_spec() -> None:
    spec = load_spec(MINIMAL)

    assert load_spec(spec) is spec


def test_defaults_are_left_out_of_the_short_form() -> None:
    assert load_spec(MINIMAL).to_dict() == MINIMAL


@pytest.mark.parametrize("name", ["spec.yaml", "spec.yml", "spec.json", "spec"])
def test_a_byte_order_mark_does_no_harm(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(MINIMAL), encoding="utf-8-sig")

    assert load_spec(str(tmp_path / name)).model.uri == "builtin:any"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("photos", "{folder}/photos"),
        ("../photos", "{folder}/../photos"),
        ("/data/photos", "/data/photos"),
        ("~/photos", "{home}/photos"),
        ("s3://bucket/photos", "s3://bucket/photos"),
    ],
)
def test_relative_paths_of_a_file_start_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv("HOME", "/home/of/tests")
    values = {
        "source": {"uri": written},
        "model": {"uri": written, "labels": written},
        "sink": {"uri": written},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    spec = load_spec(tmp_path / "spec.yaml")

    expected = meant.format(folder=tmp_path, home="/home/of/tests")
    assert [spec.source.uri, spec.model.uri, spec.model.labels, spec.sink.uri] == [expected] * 4


def test_a_home_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "source: {uri: ~nobody-has-this-name/x}\nmodel: {uri: m}\n", encoding="utf-8"
    )

    with pytest.raises(
        SpecError, match="no home folder to put in the place of '~' in ~nobody-has-this-name/x"
    ):
        load_spec(tmp_path / "spec.yaml")


def test_a_builtin_model_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(MINIMAL), encoding="utf-8")

    spec = load_spec(tmp_path / "spec.yaml")

    assert spec.model.uri == "builtin:any"
    assert spec.model.labels is None
    assert spec.sink.uri is None


def test_relative_paths_from_elsewhere_stay_as_they_are(tmp_path: Path) -> None:
    assert load_spec(MINIMAL).source.uri == "photos"

    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(MINIMAL), encoding="utf-8")
    overridden = load_spec(tmp_path / "spec.yaml", overrides={"source.uri": "mine", "sink": {"uri": "out"}})

    assert overridden.source.uri == "mine"
    assert overridden.sink.uri == "out"


def test_overrides_replace_values_by_dotted_key() -> None:
    spec = load_spec(
        MINIMAL,
        overrides={"execution.shards": 4, "preprocess.kind": "image", "preprocess.size": 32, "name": "n"},
    )

    assert spec.execution.shards == 4
    assert spec.preprocess is not None
    assert spec.preprocess.model_dump()["size"] == 32
    assert spec.name == "n"


def test_overrides_apply_to_a_spec_without_changing_it() -> None:
    spec = load_spec(MINIMAL)

    assert load_spec(spec, overrides={"execution.shards": 2}).execution.shards == 2
    assert spec.execution.shards == 1


def test_overrides_are_checked_like_the_spec() -> None:
    with pytest.raises(SpecError, match=r"execution\.shards: found 0 \(int\); .* greater than or equal to 1"):
        load_spec(MINIMAL, overrides={"execution.shards": 0})
    with pytest.raises(SpecError, match=r"Cannot set model\.uri\.x: uri is not a section but 'builtin:any'"):
        load_spec(MINIMAL, overrides={"model.uri.x": 1})


@pytest.mark.parametrize("value", [None, 3, ["spec.yaml"], b"spec.yaml"])
def test_what_is_no_spec_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=f"is a mapping or the path .* found {type(value).__name__}"):
        load_spec(value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("spec.yaml", "- photos\n", "must hold a mapping at its top level; found list"),
        ("spec.yaml", "", "must hold a mapping at its top level; found NoneType"),
        ("spec.json", '"photos"', "must hold a mapping at its top level; found str"),
        ("spec.yaml", "source: {uri: [\n", "is not valid YAML: .* line 2, column 1"),
        (
            "spec.yaml",
            "model: !!python/object/apply:os.getcwd []\n",
            "is not valid YAML: could not determine",
        ),
        ("spec.yaml", "a: 1\n\tb: 2\n", "is not valid YAML: .* line 2"),
        ("spec.json", '{"source": }', r"is not valid JSON: Expecting value: line 1 column 12"),
        ("spec.json", "source: photos", "is not valid JSON"),
    ],
)
def test_a_file_that_holds_no_spec_says_where_and_why(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SpecError, match=said) as caught:
        load_spec(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")

    with pytest.raises(SpecError, match=r"Cannot read the pipeline spec .*missing\.yaml: No such file"):
        load_spec(tmp_path / "missing.yaml")
    with pytest.raises(SpecError, match=r"Cannot read the pipeline spec .*: Is a directory"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match=r"latin\.yaml: 'utf-8' codec can't decode byte 0xe9 in position 9"):
        load_spec(tmp_path / "latin.yaml")


def test_faults_of_a_file_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("source: {uri: photos}\n", encoding="utf-8")

    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "spec.yaml")

    assert str(caught.value) == (
        f"The pipeline spec {tmp_path}/spec.yaml has 1 error:\n  model: missing; this key is required"
    )
