"""Which panels the dashboard has, and what each of them asks."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_aiopt.telemetry import catalogue
from airflow_provider_aiopt.telemetry.catalogue import Metric
from stage_dashboard import machines
from stage_dashboard.machines import OF_A_TASK
from stage_dashboard.panels import RED, YELLOW, Panel, Query, curves, heat_map, number, rows
from stage_dashboard.queries import (
    OF_DAGS,
    OF_STAGES,
    PER_STAGE,
    SHOWN,
    growth,
    or_zero,
    quantile,
    series,
    share_of,
)

_NO_METRICS = 'ALERTS{alertname="StatsdExporterDown"}'
"""The one alert that is about no DAG, and about all."""
_ALERTS = f'(ALERTS{{{OF_DAGS}, dag_id!="", stage=~"$stage|"}} or {_NO_METRICS})'


@dataclass(frozen=True, slots=True)
class Line:
    """Panels beside each other, which share the width evenly.

    :param height: in units of Grafana's grid, 30 pixels each
    :param panels: from left to right
    """

    height: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the dashboard under a title of its own.

    :param title: shown above it
    :param lines: from top to bottom
    """

    title: str
    lines: tuple[Line, ...]


def rows_of_panels() -> tuple[Row, ...]:
    """Return the whole content, from top to bottom."""
    return (
        Row("Overview", (Line(4, _overview()),)),
        Row("Stage durations", (Line(9, _durations()), Line(9, _where_the_time_goes()))),
        Row("Before the work", (Line(8, _before_the_work()), Line(8, _pods()))),
        Row("Throughput", _pairs(_throughput())),
        Row("Machines", _machines()),
        Row("Cache, quarantine and failures", _pairs(_cache_and_errors())),
        Row("Alerts", (Line(8, (_alerts(),)),)),
    )


def _overview() -> tuple[Panel, ...]:
    items = growth(catalogue.STAGE_ITEMS, window=SHOWN)
    quarantined = growth(catalogue.STAGE_QUARANTINED, window=SHOWN)
    hits = growth(catalogue.STAGE_CACHE_HITS, window=SHOWN)
    misses = growth(catalogue.STAGE_CACHE_MISSES, window=SHOWN)
    return (
        number(
            "Stage attempts",
            "How many shares of stages tasks have finished, failed ones included, in the time shown.",
            "short",
            growth(catalogue.STAGE_DURATION, "_count", window=SHOWN),
            decimals=0,
        ),
        number(
            "Slowest stage",
            "The largest p95 of any stage's duration in the time shown.",
            "s",
            f"max({quantile(0.95, catalogue.STAGE_DURATION, window=SHOWN)})",
        ),
        number(
            "Quarantined",
            "Share of the records that were put into quarantine in the time shown.",
            "percentunit",
            share_of(quarantined, items),
            steps=((0.001, YELLOW), (0.05, RED)),
        ),
        number(
            "Failed attempts",
            "How many shares of stages raised an error in the time shown.",
            "short",
            growth(catalogue.STAGE_FAILURES, window=SHOWN),
            decimals=0,
            steps=((0.5, RED),),  # the count is an estimate
        ),
        number(
            "Cache hits",
            "Share of the records that the cache of prepared records knew in the time shown.",
            "percentunit",
            share_of(hits, misses),
        ),
        number(
            "Firing alerts",
            "Alerts that fire now for the chosen DAGs and stages, or because no metrics arrive.",
            "short",
            or_zero(f'count({_ALERTS} and ALERTS{{alertstate="firing"}})'),
            decimals=0,
            steps=((1, RED),),
        ),
    )


def _durations() -> tuple[Panel, ...]:
    what = "of how long one task's share of a stage took, over the window."
    return (
        curves(
            "Duration, p50",
            f"Median {what}",
            "s",
            Query(quantile(0.5, catalogue.STAGE_DURATION)),
        ),
        curves(
            "Duration, p95",
            f"95th percentile {what}",
            "s",
            Query(quantile(0.95, catalogue.STAGE_DURATION)),
        ),
        curves(
            "Duration, longest",
            f"Upper bound {what} A histogram knows no maximum: this is the upper end of the slowest bucket.",
            "s",
            Query(quantile(1, catalogue.STAGE_DURATION)),
        ),
    )


def _where_the_time_goes() -> tuple[Panel, ...]:
    spent = growth(catalogue.STAGE_DURATION, "_sum")
    phases = (
        ("loading the model", catalogue.STAGE_MODEL_LOAD),
        ("waiting for input", catalogue.STAGE_WAIT_INPUT),
        ("waiting for output", catalogue.STAGE_WAIT_OUTPUT),
    )
    seconds = {name: or_zero(growth(metric, "_sum")) for name, metric in phases}
    seconds["computing"] = f"({' - '.join((spent, *seconds.values()))})"
    return (
        heat_map(
            "Durations over time",
            "How many attempts of all chosen stages took how long: one cell is one bucket of the histogram.",
            growth(catalogue.STAGE_DURATION, "_bucket", by="le", window="$__rate_interval"),
        ),
        curves(
            "Share of the time by stage",
            "Each stage's part of all the time that stages took, over the window. The largest sets the pace.",
            "percentunit",
            Query(f"{growth(catalogue.STAGE_DURATION, '_sum', by=PER_STAGE)} / scalar({spent})"),
            largest=1,
            stacked=True,
        ),
        curves(
            "Mean attempt by phase",
            "What a mean attempt of the chosen stages spent its time on. Choose one stage to see it alone.",
            "s",
            *(
                Query(f"{value} / {growth(catalogue.STAGE_DURATION, '_count')}", name)
                for name, value in seconds.items()
            ),
            stacked=True,
        ),
    )


def _before_the_work() -> tuple[Panel, ...]:
    return (
        _percentiles(
            "Queue time",
            "From the beginning of a run to that of a task that waits for no other.",
            catalogue.TASK_QUEUED,
            by="dag_id",
            labels=OF_DAGS,  # of a run's first tasks, whichever stages are chosen
        ),
        _percentiles(
            "Upload to start",
            "From the first sighting of a run's oldest upload to the task that takes it.",
            catalogue.UPLOAD_TO_START,
            by="dag_id",
            labels=OF_DAGS,  # its stage is "take", whichever stages are chosen
        ),
        _percentiles(
            "Model load",
            "The part of an attempt that loaded the model.",
            catalogue.STAGE_MODEL_LOAD,
            by=PER_STAGE,
        ),
    )


def _pods() -> tuple[Panel, ...]:
    """Return where the time of pods went, of ``KubernetesStageOperator``'s alone."""
    phases = {
        "waiting for a node": catalogue.POD_SCHEDULE,
        "pulling images": catalogue.POD_PULL,
        "starting": catalogue.POD_START,
        "loading modules": catalogue.POD_BOOT,
    }
    # Their stage may be a whole pipeline, which is none of those to choose from.
    means = {
        name: f"{growth(metric, '_sum', labels=OF_DAGS)} / {growth(metric, '_count', labels=OF_DAGS)}"
        for name, metric in phases.items()
    }
    return (
        curves(
            "Mean pod before its stage",
            "What a mean pod spent its time on before its stage began. Empty where no stage ran in a pod.",
            "s",
            *(Query(value, name) for name, value in means.items()),
            stacked=True,
        ),
        _percentiles(
            "Pod's wait for a node",
            "From a pod's creation to its node: queue, scale-up, GPUs that are busy.",
            catalogue.POD_SCHEDULE,
            by="dag_id",
            labels=OF_DAGS,
        ),
        _percentiles(
            "Pull of a pod's images",
            "How long the node pulled, 0 where it had them.",
            catalogue.POD_PULL,
            by="dag_id",
            labels=OF_DAGS,
        ),
    )


def _throughput() -> tuple[Panel, ...]:
    return (
        curves(
            "Records per second while running",
            "Records over duration of the last attempt. It stays until the next attempt ends.",
            "short",
            Query(series(catalogue.STAGE_ITEMS_PER_SECOND), OF_A_TASK),
        ),
        curves(
            "Records",
            "Records that left each stage within the window.",
            "short",
            Query(growth(catalogue.STAGE_ITEMS, by=PER_STAGE)),
        ),
        curves(
            "Bytes",
            "What each stage read and wrote within the window.",
            "bytes",
            Query(growth(catalogue.STAGE_BYTES_IN, by=PER_STAGE), "{{dag_id}} / {{stage}} in"),
            Query(growth(catalogue.STAGE_BYTES_OUT, by=PER_STAGE), "{{dag_id}} / {{stage}} out"),
        ),
        curves(
            "Batch size",
            "Mean number of records in a batch of the last attempt, of stages that work in batches.",
            "short",
            Query(series(catalogue.STAGE_BATCH_SIZE), OF_A_TASK),
        ),
    )


def _machines() -> tuple[Line, ...]:
    """Return dials above, curves below."""
    curves_below = (machines.processors_and_memory(), machines.hosts(), machines.gpus())
    return (Line(5, machines.dials()), *(Line(8, panels) for panels in curves_below))


def _cache_and_errors() -> tuple[Panel, ...]:
    by = "dag_id"
    hits, misses = (
        growth(metric, by=by) for metric in (catalogue.STAGE_CACHE_HITS, catalogue.STAGE_CACHE_MISSES)
    )
    return (
        curves(
            "Cache hit ratio",
            "Hits over hits and misses of the cache of prepared records. Empty where no cache is used.",
            "percentunit",
            Query(share_of(hits, misses), "{{dag_id}}"),
            largest=1,
        ),
        curves(
            "Cache lookups",
            "Records that the cache of prepared records knew within the window, and those that it did not.",
            "short",
            Query(hits, "{{dag_id}} hits"),
            Query(misses, "{{dag_id}} misses"),
        ),
        curves(
            "Quarantined records",
            "Bad records put into quarantine within the window. The run's report has the reasons.",
            "short",
            Query(growth(catalogue.STAGE_QUARANTINED, by=PER_STAGE)),
        ),
        curves(
            "Failures",
            "Attempts that raised an error within the window, and errors that turned the cache off.",
            "short",
            Query(growth(catalogue.STAGE_FAILURES, by=PER_STAGE), "{{dag_id}} / {{stage}}"),
            Query(growth(catalogue.STAGE_CACHE_ERRORS, by=PER_STAGE), "{{dag_id}} / {{stage}} cache"),
        ),
    )


def _alerts() -> Panel:
    columns = {
        "alertname": "Alert",
        "alertstate": "State",
        "severity": "Severity",
        "dag_id": "DAG",
        "stage": "Stage",
    }
    return rows(
        "Pending and firing alerts",
        "What Prometheus' rules say now of the chosen DAGs and stages, and of the monitoring itself.",
        f"max by ({', '.join(columns)}) {_ALERTS}",
        columns,
    )


def _percentiles(title: str, description: str, metric: Metric, *, by: str, labels: str = OF_STAGES) -> Panel:
    """Return one panel with p50, p95 and the upper bound of a timing."""
    name = " / ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    shares = {"p50": 0.5, "p95": 0.95, "longest": 1}
    return curves(
        title,
        f"{description} The longest is the upper end of the slowest bucket.",
        "s",
        *(
            Query(quantile(share, metric, by=by, labels=labels), f"{name} {legend}")
            for legend, share in shares.items()
        ),
    )


def _pairs(panels: tuple[Panel, ...]) -> tuple[Line, ...]:
    """Put two panels on each line."""
    return tuple(Line(8, panels[at : at + 2]) for at in range(0, len(panels), 2))
