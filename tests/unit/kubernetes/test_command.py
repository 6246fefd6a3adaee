from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from airflow_provider_aiopt.cli.main import make_parser
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.kubernetes.command import (
    ARGUMENT_BYTES,
    CONFIG_MAP_BYTES,
    StageCommand,
    check_spec,
    literal,
    pod_uri,
    spec_needs_file,
)
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.telemetry.testing import make_task

SPEC: dict[str, Any] = {"source": {"uri": "s3://bucket/photos"}, "model": {"uri": "builtin:m"}}


def command(**fields: Any) -> StageCommand:
    defaults = {
        "work": "inference",
        "spec": load_spec(SPEC),
        "workspace": "/runs/$(HOME)",
        "task": make_task(),
    }
    return StageCommand(**defaults | fields)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What ``aiopt`` understands once Kubernetes has replaced ``$$``."""
    return make_parser().parse_args([item.replace("$$", "$") for item in arguments])


def test_aiopt_understands_what_the_pod_is_told() -> None:
    task = make_task("infer", 3, 2)
    given = command(
        task=task, shards=["preprocess/00001"], allowed_callables=["a.b"], hardware_interval_s=0.5
    )
    found = parsed(given.arguments(spec_file=False))
    assert found.stage == "inference"
    assert load_spec(json.loads(found.spec)) == load_spec(SPEC)
    assert (found.workspace, found.result) == ("/runs/$(HOME)", "/runs/$(HOME)/pods/$(AIOPT_POD).json")
    assert [str(ref) for ref in found.shard] == ["preprocess/00001"]
    assert (found.dag_id, found.run_id, found.task_id) == (task.dag_id, task.run_id, task.task_id)
    assert (found.map_index, found.try_number, found.max_shards) == (3, 2, 64)
    assert (found.allow_callables, found.hardware_interval) == (["a.b"], 0.5)


def test_only_the_pods_name_is_for_kubernetes_to_replace() -> None:
    arguments = command().arguments(spec_file=False)
    assert [item for item in arguments if "$(" in item.replace("$$", "")] == [
        "--result=/runs/$$(HOME)/pods/$(AIOPT_POD).json"
    ]
    assert literal("$(A) $$ $") == "$$(A) $$$$ $$"


def test_a_sidecar_and_a_config_map_have_places_of_their_own() -> None:
    found = parsed(command(xcom=True).arguments(spec_file=True))
    assert (found.result, found.spec) == ("/airflow/xcom/return.json", "/etc/aiopt/spec.json")


@pytest.mark.parametrize(
    ("size", "by", "needed"),
    [
        (100, "auto", False),
        (100, "config_map", True),
        (ARGUMENT_BYTES - len("--spec="), "argument", False),
        (ARGUMENT_BYTES, "auto", True),
        (CONFIG_MAP_BYTES, "auto", True),
    ],
)
def test_a_spec_takes_a_config_map_where_no_argument_holds_it(size: int, by: Any, needed: bool) -> None:
    assert spec_needs_file("x" * size, by) is needed


@pytest.mark.parametrize(
    ("size", "by", "message"),
    [
        (131_072, "argument", r"an argument of 131,079 bytes; Linux allows 131,071.*spec_by='auto'"),
        (1_048_577, "auto", r"has 1,048,577 bytes as JSON; a ConfigMap holds 1,048,576.*source\.manifest"),
    ],
)
def test_a_spec_that_nothing_holds_is_an_error_with_limit_size_and_remedy(
    size: int, by: Any, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        spec_needs_file("x" * size, by)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("source", {"connection": "aws"}, r"source\.connection is 'aws'"),
        ("source", {"uri": "s3://aws@bucket/photos"}, r"source\.uri names an Airflow connection"),
        ("source", {"storage_options": {"secret": "hush"}}, r"source\.storage_options\.secret looks"),
        ("sink", {"uri": "s3://b/r", "storage_options": {"client_kwargs": {"aws_access_key_id": "hush"}}},
         r"sink\.storage_options\.client_kwargs\.aws_access_key_id"),
    ],
)  # fmt: skip
def test_no_credential_and_no_connection_gets_into_a_manifest(
    section: str, values: dict[str, Any], message: str
) -> None:
    spec = load_spec(SPEC | {section: SPEC.get(section, {}) | values})
    with pytest.raises(SpecError, match=message + r".*service_account") as caught:
        check_spec(spec)
    assert "hush" not in str(caught.value)


def test_what_is_no_credential_may_be_said() -> None:
    options = {"anon": True, "client_kwargs": {"endpoint_url": "http://minio:9000"}}
    check_spec(load_spec(SPEC | {"source": SPEC["source"] | {"storage_options": options}}))


def test_a_pod_reaches_the_workspace_without_airflows_connection() -> None:
    assert pod_uri("s3://aws@bucket/runs/a@b") == "s3://bucket/runs/a@b"
    for uri in ("s3://bucket/runs", "/runs/a@b", "memory://x"):
        assert pod_uri(uri) == uri
