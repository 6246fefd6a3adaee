"""What the panels look like: one function for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as fields
from grafana_foundation_sdk.builders import gauge, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel: TypeAlias = timeseries.Panel | stat.Panel | gauge.Panel | heatmap.Panel | table.Panel

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The Prometheus that the dashboard's first variable names."""

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    :param expression: PromQL
    :param legend: name of its curves, with the labels in double braces
    """

    expression: str
    legend: str = "{{dag_id}} / {{stage}}"


def curves(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    largest: float | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Return a panel of curves over time, with their mean, maximum and last value below.

    :param unit: id of one of Grafana's units
    :param queries: one curve or more each
    :param largest: where the axis ends, if not at the largest value
    :param stacked: whether the curves are parts of a whole
    """
    legend = parts.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(50 if stacked else 10)
        .show_points(VisibilityMode.AUTO)
        .legend(legend.placement(LegendPlacement.BOTTOM).calcs(["mean", "max", "lastNotNull"]))
        .tooltip(parts.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if largest is not None:
        panel.max(largest)
    if stacked:
        panel.stacking(parts.StackingConfig().group("A").mode(StackingMode.NORMAL))
    for place, query in enumerate(queries):
        panel.with_target(_target(query, place).range())
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    decimals: int | None = None,
    steps: tuple[tuple[float, str], ...] = (),
) -> stat.Panel:
    """Return a panel of one large number.

    :param unit: id of one of Grafana's units
    :param expression: PromQL with one value
    :param decimals: how many are shown; default: as fits
    :param steps: the values from which on the number has another colour than green, ascending
    """
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value("-")
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .thresholds(_thresholds(steps))
        .with_target(_target(Query(expression, "")).instant())
    )
    return panel if decimals is None else panel.decimals(decimals)


def dial(
    title: str, description: str, expression: str, *, steps: tuple[tuple[float, str], ...] = ()
) -> gauge.Panel:
    """Return a dial from 0 to 100 %.

    :param expression: PromQL with one value, 0 to 1
    :param steps: as in :func:`number`
    """
    return (
        gauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("percentunit")
        .min(0)
        .max(1)
        .no_value("-")
        .reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .thresholds(_thresholds(steps))
        .with_target(_target(Query(expression, "")).instant())
    )


def heat_map(title: str, description: str, expression: str) -> heatmap.Panel:
    """Return a heat map of durations over time.

    :param expression: PromQL with a value for each label ``le``
    """
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges")
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("short")
        .calculate(False)
        .color(colours.fill("dark-orange").exponent(0.5).steps(64))
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .cell_gap(1)
        .show_legend()
        .mode(TooltipDisplayMode.SINGLE)
        .with_target(_target(Query(expression, "{{le}}")).range().format(PromQueryFormat.HEATMAP))
    )


def rows(title: str, description: str, expression: str, columns: dict[str, str]) -> table.Panel:
    """Return a table with a row for each time series that the query finds now.

    :param expression: PromQL
    :param columns: the heading of each label that is shown, in order
    """
    order = {label: place for place, label in enumerate(columns)}
    arrange = {
        "excludeByName": {"Time": True, "Value": True},
        "indexByName": order,
        "renameByName": columns,
    }
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("string")
        .no_value("None")
        .show_header(True)
        .with_transformation(DataTransformerConfig(id_val="organize", options=arrange))
        .with_target(_target(Query(expression, "")).instant().format(PromQueryFormat.TABLE))
    )


def _thresholds(steps: tuple[tuple[float, str], ...]) -> fields.ThresholdsConfig:
    colours = [Threshold(value=None, color=GREEN), *(Threshold(value=at, color=name) for at, name in steps)]
    return fields.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(colours)


def _target(query: Query, place: int = 0) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(chr(ord("A") + place))
        .datasource(DATASOURCE)
    )
