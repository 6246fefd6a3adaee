"""The plugin that Airflow loads: pages in its UI, and the routes that they read.

Every process of Airflow loads it, the tasks' among them, so it imports nothing that only the API server
needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

URL_PREFIX = "/aiopt"
"""Where the routes and the pages lie, below Airflow's own base path."""

_NAME = "Stage timings"
# Relative: Airflow's page resolves it against its base path, whatever prefix that has.
_PAGES = f"{URL_PREFIX.lstrip('/')}/static"
_RUN = f"{_PAGES}/run.html?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"


class OnDemandApp:
    """The web application, built at its first request: only the API server has any."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._app is None:
            from airflow_provider_aiopt.plugins.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def _view(route: str, destination: str, href: str) -> dict[str, Any]:
    return {"name": _NAME, "href": href, "destination": destination, "url_route": route}


class StageTimingsPlugin(AirflowPlugin):
    """Shows where the time of runs went: in a tab of runs, tasks and DAGs, and on a page of its own."""

    name = "aiopt"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as Airflow's own class has it
        {"name": "aiopt", "app": OnDemandApp(), "url_prefix": URL_PREFIX},
    ]
    external_views: list[Any] = [  # noqa: RUF012 - as Airflow's own class has it
        _view("aiopt-run", "dag_run", _RUN),
        _view("aiopt-task", "task_instance", f"{_RUN}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"),
        _view("aiopt-dag", "dag", f"{_PAGES}/dag.html?dag_id={{DAG_ID}}"),
        _view("aiopt", "nav", f"{_PAGES}/overview.html") | {"category": "browse"},
    ]
