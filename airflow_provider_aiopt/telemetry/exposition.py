"""What the catalogue says to people and to Prometheus' ``statsd_exporter``."""

from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, TAGS, Metric

PREFIX = "airflow"
"""Airflow's default ``[metrics] statsd_prefix``."""

DURATION_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Upper bounds, in seconds, of the histogram buckets of all timings: from one batch to an hour's stage."""

_METRIC_TYPES = {"timing": "observer", "counter": "counter", "gauge": "gauge"}

_MAPPING_HEADER = """\
# Mapping for Prometheus' statsd_exporter: --statsd.mapping-config=statsd_mapping.yaml, or the entries below
# "mappings" as statsd.extraMappings of Airflow's Helm chart. Each metric has two entries: its bare name,
# for InfluxDB or Datadog tags, and its dotted name, in which the tags travel through plain StatsD.
# Rendered by scripts/render_metrics.py: change telemetry/catalogue.py instead.
"""

_PAGE_HEADER = """\
# Metrics

Every stage sends those of `ai_pipeline.stage` when it ends, a run's first tasks `ai_pipeline.task.queued`,
and the task that takes uploads `ai_pipeline.upload.to_start`: in Airflow through the StatsD or
OpenTelemetry client that `[metrics]` configures, and outside Airflow with `aiopt run --statsd HOST:PORT`.
This page is rendered from `airflow_provider_aiopt/telemetry/catalogue.py` by `scripts/render_metrics.py`.

| StatsD name | Kind | Prometheus name | Unit in Prometheus | Meaning |
|---|---|---|---|---|
"""

_PAGE_FOOTER = """
## Names and tags

All have the tags {tags}. Outside Airflow `dag_id` is the pipeline's name and `task_id` the stage's.

- With tags (`statsd_influxdb_enabled`, `statsd_datadog_enabled` or `otel_on` under `[metrics]`) the name is
  sent as above and the tags beside it.
- Plain StatsD has no tags, and Airflow drops those of metrics that it does not know. The values then follow
  the name: `{dotted}`.

StatsD puts its prefix before either, `{prefix}` by default. Values are reduced to letters, digits, `_` and
`-`. In dotted names a dot becomes `__`, and everywhere another character becomes `_`; a value that is not
ASCII, or too long for a name of 250 characters, ends in a digest that keeps it distinct.

Timings are sent in milliseconds and become seconds in Prometheus. The shards of a mapped task share their
tags: timings and counters add up, gauges hold the last value.

## Prometheus

Give `statsd_exporter` the mapping that comes with the package:

```console
$ python -c "from importlib.resources import files; \\
    print((files('airflow_provider_aiopt.telemetry') / 'statsd_mapping.yaml').read_text())" > mapping.yaml
$ statsd_exporter --statsd.mapping-config=mapping.yaml
```

With Airflow's Helm chart, put the entries below `mappings` into `statsd.extraMappings`. Another
`statsd_prefix` than `{prefix}` needs its name in the `match` lines. Timings are histograms; for example:

```promql
# Median duration of each stage of one DAG over the last hour
histogram_quantile(0.5, sum by (le, stage) (rate({duration}_bucket{{dag_id="my_dag"}}[1h])))
# Share of the time that each stage takes
sum by (stage) (rate({duration}_sum[1h])) / scalar(sum(rate({duration}_sum[1h])))
```

Rules and alerts for Prometheus are in `monitoring/prometheus`; [runbook.md](runbook.md) explains each alert.
"""


def statsd_mapping() -> str:
    """Return the mapping file for ``statsd_exporter``, as YAML."""
    import yaml

    # The exporter finds a name that is the beginning of another one only if it comes first.
    entries = [entry for metric in CATALOGUE for entry in (_tagged_entry(metric), _dotted_entry(metric))]
    return _MAPPING_HEADER + yaml.safe_dump({"mappings": entries}, sort_keys=False, width=110)


def metrics_page() -> str:
    """Return the page of the documentation that lists the metrics, as Markdown."""
    rows = "".join(
        f"| `{metric.name}` | {metric.kind} | `{metric.prometheus}` | {metric.unit} "
        f"| {metric.description.replace('``', '`')} |\n"
        for metric in CATALOGUE
    )
    footer = _PAGE_FOOTER.format(
        tags=", ".join(f"`{tag}`" for tag in TAGS[:-1]) + f" and `{TAGS[-1]}`",
        dotted=".".join([CATALOGUE[0].name, *(f"<{tag}>" for tag in CATALOGUE[0].tags)]),
        duration=CATALOGUE[0].prometheus,
        prefix=PREFIX,
    )
    return _PAGE_HEADER + rows + footer


def _tagged_entry(metric: Metric) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "match": f"{PREFIX}.{metric.name}",
        "match_metric_type": _METRIC_TYPES[metric.kind],
        "name": metric.prometheus,
        "help": metric.description.replace("``", ""),
    }
    if metric.kind == "timing":
        entry |= {"observer_type": "histogram", "histogram_options": {"buckets": list(DURATION_BUCKETS)}}
    return entry


def _dotted_entry(metric: Metric) -> dict[str, Any]:
    labels = {tag: f"${place}" for place, tag in enumerate(metric.tags, start=1)}
    return _tagged_entry(metric) | {
        "match": f"{PREFIX}.{metric.name}" + ".*" * len(metric.tags),
        "labels": labels,
    }
