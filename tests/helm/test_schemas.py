"""Every rendered object against the schemas of Kubernetes and the Prometheus operator; rules by promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import requires, requires_program
from helm_chart import (
    ALL_ON,
    CASES,
    CUSTOM,
    RELEASE,
    SOURCE,
    Chart,
    Object,
    definitions,
    of_kind,
    pod_templates,
)

KUBERNETES = ("1.30", "1.37")
"""The oldest that the official chart takes, and the newest that there are schemas of."""

SECRET_NAMES = re.compile(r"password|secret|token|passwd|api_?key|private_?key|credential", re.IGNORECASE)


def strict(schema: Any) -> Any:
    """A custom resource's schema that refuses unknown keys: the API server drops them without a word."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if isinstance(schema, str):
        return schema.replace("^(?i)", "(?i)^")  # Go takes flags anywhere, Python at the beginning
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def custom_schemas() -> dict[str, Any]:
    found = {}
    for kind, definition in definitions().items():
        (version,) = definition["spec"]["versions"]
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        found[kind] = schema
    return found


def strings(item: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """All texts of an object, with where they stand."""
    if isinstance(item, dict):
        return [found for key, value in item.items() for found in strings(value, (*path, str(key)))]
    if isinstance(item, list):
        return [found for value in item for found in strings(value, path)]
    return [(path, item)] if isinstance(item, str) else []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_object(chart: Chart, case: str, version: str) -> None:
    requires("kubernetes_validate", "pip install kubernetes-validate")
    import kubernetes_validate

    objects = [item for item in chart.own(CASES[case], *ALL_ON) if item["kind"] not in CUSTOM]
    pods = list(pod_templates(objects).values())

    for item in [*objects, *pods]:
        kubernetes_validate.validate(item, version, strict=True)
    assert len(objects) >= 10


def test_the_schemas_know_a_fault() -> None:
    requires("kubernetes_validate", "pip install kubernetes-validate")
    import kubernetes_validate

    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [{"nam": "x"}]},
    }
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, KUBERNETES[1], strict=True)


@pytest.mark.parametrize("kind", CUSTOM)
def test_the_prometheus_operator_takes_its_objects(
    chart: Chart, custom_schemas: dict[str, Any], kind: str
) -> None:
    import jsonschema

    (item,) = of_kind(chart.own((), *ALL_ON), kind)
    jsonschema.validate(item, custom_schemas[kind])

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**item, "spec": {**item["spec"], "unknown": 1}}, custom_schemas[kind])


def test_prometheus_takes_the_rules(chart: Chart, tmp_path: Path) -> None:
    promtool = requires_program("promtool", "apt-get install prometheus")
    (item,) = of_kind(chart.own((), *ALL_ON), "PrometheusRule")
    rendered = tmp_path / "rules.yaml"
    rendered.write_text(yaml.safe_dump(item["spec"]))

    done = subprocess.run([promtool, "check", "rules", rendered], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    folder = SOURCE.parents[1] / "monitoring" / "prometheus" / "rules"
    groups = [group for path in folder.glob("*.yaml") for group in yaml.safe_load(path.read_text())["groups"]]
    assert sorted(item["spec"]["groups"], key=lambda group: group["name"]) == sorted(
        groups, key=lambda group: group["name"]
    )


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_rendered(chart: Chart, case: str) -> None:
    objects = chart.render(CASES[case], *ALL_ON)

    assert not [item for item in objects if item["kind"] == "Secret"]
    for item in objects:
        for path, text in strings(item):
            if SECRET_NAMES.search(path[-1]) or SECRET_NAMES.search(text.partition("=")[0]):
                assert is_a_name(path, text), f"{'.'.join(path)}: {text}"


def is_a_name(path: tuple[str, ...], text: str) -> bool:
    """Whether a text that a secret might be in only names where one lies, or is prose or a configuration."""
    return path[-1] in {"secretName", "passwordSecretName", "name", "key"} or "\n" in text


def given_secrets(given: Object) -> dict[str, str]:
    found = {}
    for path, text in strings(given):
        if SECRET_NAMES.search(path[-1]) and path[-1] != "help":
            found[".".join(path)] = text
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_official_chart_is_given_names_of_secrets_only(chart: Chart, case: str) -> None:
    assert given_secrets(chart.given(CASES[case])) == {
        "apiSecretKeySecretName": "aiopt-api",
        "data.brokerUrlSecretName": "aiopt-broker",
        "data.metadataSecretName": "aiopt-metadata",
        "fernetKeySecretName": "aiopt-fernet",
        "jwtSecretName": "aiopt-jwt",
        "redis.passwordSecretName": "aiopt-redis",
    }


def test_every_object_says_whose_it_is(chart: Chart) -> None:
    for item in chart.own(CASES["multi-team"], *ALL_ON):
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/name"] == "airflow-provider-aiopt"
