"""From the content to the JSON that Grafana reads."""

from __future__ import annotations

from itertools import count
from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    IntervalVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from airflow_provider_aiopt.telemetry import catalogue
from stage_dashboard.content import rows_of_panels
from stage_dashboard.panels import DATASOURCE
from stage_dashboard.queries import OF_DAGS, series

UID: Final = "aiopt-stages"
"""What links to the dashboard end in; it must not change."""

_WIDTH: Final = 24  # columns of Grafana's grid
_WINDOWS: Final = ("5m", "15m", "1h", "6h", "1d")
_DEFAULT_WINDOW: Final = "15m"


def dashboard_json() -> str:
    """Return the dashboard as Grafana imports and provisions it, with a newline at its end."""
    return JSONEncoder(sort_keys=True, indent=2).encode(_dashboard().build()) + "\n"


def _dashboard() -> Dashboard:
    dashboard = (
        Dashboard("AI pipeline stages")
        .uid(UID)
        .description("Where the stages of AI pipelines spend their time, and what goes wrong in them.")
        .tags(["airflow", "ai-pipeline"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .editable()
        .variables([_datasource(), _choice("dag", "DAG", "dag_id"), _stages(), _window()])
    )
    _add_panels(dashboard)
    return dashboard


def _add_panels(dashboard: Dashboard) -> None:
    ids = count(1)
    for row in rows_of_panels():
        dashboard.with_row(Row(row.title).id(next(ids)))
        for line in row.lines:
            width, rest = divmod(_WIDTH, len(line.panels))
            if rest:
                raise ValueError(f"{row.title}: {len(line.panels)} panels do not divide the {_WIDTH} columns")
            for panel in line.panels:
                dashboard.with_panel(panel.id(next(ids)).span(width).height(line.height))


def _datasource() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def _stages() -> QueryVariable:
    return _choice("stage", "Stage", "stage", labels=OF_DAGS)


def _choice(name: str, label: str, tag: str, *, labels: str = "") -> QueryVariable:
    durations = (
        series(catalogue.STAGE_DURATION, "_count", labels)
        if labels
        else (f"{catalogue.STAGE_DURATION.prometheus}_count")
    )
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({durations}, {tag})", "refId": "StandardVariableQuery"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _window() -> IntervalVariable:
    options = [VariableOption(selected=at == _DEFAULT_WINDOW, text=at, value=at) for at in _WINDOWS]
    return (
        IntervalVariable("window")
        .label("Window")
        .description("How far each point of a curve looks back.")
        .values(",".join(_WINDOWS))
        .options(options)
        .current(VariableOption(selected=True, text=_DEFAULT_WINDOW, value=_DEFAULT_WINDOW))
    )
