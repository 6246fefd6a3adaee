from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_aiopt.get_provider_info import CONFIG
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.spec.uploads import load_watch_spec

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_dag_is_one() -> None:
    scope: dict[str, Any] = {}
    code = next(block for block in blocks("python") if "DAG(" in block)
    exec(compile(code, "README.md", "exec"), scope)
    stages = ("ingest", "preprocess", "inference")
    assert tuple(scope[stage].task_id for stage in stages) == stages
    assert load_spec(scope["spec"]).execution.shards == 8


def test_the_dag_on_upload_is_one() -> None:
    scope: dict[str, Any] = {}
    code = next(block for block in blocks("python") if "AssetWatcher(" in block)
    exec(compile(code, "README.md", "exec"), scope)
    trigger = scope["photos"].watchers[0].trigger
    assert load_watch_spec(scope["classify"].uploads) == trigger.spec()
    assert load_spec(scope["classify"].spec).source.uri == scope["WATCH"]["uri"]


def test_the_spec_is_one() -> None:
    whole, source, custom = blocks("yaml")
    spec = yaml.safe_load(whole)
    assert load_spec(spec).name == "photos"
    assert load_spec(spec | yaml.safe_load(source)).source.format == "python"
    assert load_spec(spec | yaml.safe_load(custom)).preprocess.processes


def test_every_option_is_named_with_its_default() -> None:
    for name, option in CONFIG["aiopt"]["options"].items():
        default = option["default"] or "none"
        row = re.search(rf"^\| `{name}` \| `?{re.escape(default)}`? \|", README, re.MULTILINE)
        assert row, f"README.md does not name {name} with its default {default}"


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (REPOSITORY / target).exists()
