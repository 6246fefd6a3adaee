from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from airflow.api_fastapi.app import RESERVED_URL_PREFIXES
from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse, FastAPIAppResponse
from airflow.plugins_manager import is_valid_plugin

from airflow_provider_aiopt.airflow.urls import RUN_TAB
from airflow_provider_aiopt.get_provider_info import get_provider_info
from airflow_provider_aiopt.plugins.plugin import StageTimingsPlugin

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_airflow_takes_it() -> None:
    assert is_valid_plugin(StageTimingsPlugin)


def test_both_ways_to_find_it_lead_to_it() -> None:
    groups = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]
    module, _, name = groups["airflow.plugins"]["aiopt"].partition(":")
    assert getattr(import_module(module), name) is StageTimingsPlugin
    (listed,) = get_provider_info()["plugins"]
    assert listed == {"name": StageTimingsPlugin.name, "plugin-class": f"{module}.{name}"}


def test_the_views_are_what_airflows_ui_reads() -> None:
    views = [ExternalViewResponse.model_validate(view) for view in StageTimingsPlugin.external_views]
    assert {view.destination for view in views} == {"nav", "dag", "dag_run", "task_instance"}
    assert len({view.url_route for view in views}) == len(views)
    for view in views:
        # Relative, so that a base path with a prefix holds.
        assert view.href.startswith("aiopt/static/")


def test_the_application_has_a_prefix_that_airflow_does_not_reserve() -> None:
    (app,) = StageTimingsPlugin.fastapi_apps
    FastAPIAppResponse.model_validate({**app, "app": ""})
    assert not app["url_prefix"].startswith(tuple(RESERVED_URL_PREFIXES))


def test_tasks_and_schedulers_that_load_it_load_no_web_application() -> None:
    program = (
        "import sys, airflow.plugins_manager; before = set(sys.modules)\n"
        "import airflow_provider_aiopt.plugins.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert set(loaded.splitlines()[-1].split()) <= {
        "airflow_provider_aiopt",
        "airflow_provider_aiopt.plugins",
        "airflow_provider_aiopt.plugins.plugin",
    }


def test_the_link_of_a_task_leads_to_the_tab_of_its_run() -> None:
    (view,) = [view for view in StageTimingsPlugin.external_views if view["destination"] == "dag_run"]
    assert view["url_route"] == RUN_TAB
