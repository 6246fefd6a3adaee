"""Metric names and tag values that every backend accepts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, Metric

MAX_NAME = 250
"""Most characters that Airflow accepts in a metric's name, tags in the name included."""

# The same for all metrics and both forms of name, so that a long id is shortened alike everywhere.
_ROOM = MAX_NAME - max(len(metric.name) + sum(len(f",{tag}=") for tag in metric.tags) for metric in CATALOGUE)

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_.-]")
_DIGEST = 8  # hexadecimal digits: enough to tell apart the DAGs and tasks of one deployment


def sanitise(value: str, *, keep_dots: bool = False) -> str:
    """Return *value* in the characters ``[a-zA-Z0-9_-]``, never empty.

    Dots become two underscores, as in Airflow's own dotted names; other characters become one.  Values that
    are not ASCII lose their accents and get a digest of the original, so that two names in, say, Chinese
    stay two.

    :param value: a DAG id, task id or stage name
    :param keep_dots: whether dots stay as they are
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", value) if not unicodedata.combining(char))
    segment = _FORBIDDEN.sub("_", plain if keep_dots else plain.replace(".", "__"))
    if value and value.isascii():
        return segment
    return f"{segment}_{_digest(value)}".lstrip("_")


def dotted_name(metric: Metric, tags: Mapping[str, str]) -> str:
    """Return the name that carries the tags' values, for backends that drop tags.

    :param metric: a metric of the catalogue
    :param tags: a value for each of its tags
    :returns: for example ``ai_pipeline.stage.duration.my_dag.my_task.inference``
    """
    values = fit([tags[tag] for tag in metric.tags], _ROOM)
    return ".".join([metric.name, *values])


def safe_tags(metric: Metric, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags with values that pass even where the client writes them into the name, as for InfluxDB.

    Dots stay, so that the values are those of Airflow's own metrics.

    :param metric: a metric of the catalogue
    :param tags: a value for each of its tags
    """
    values = fit([tags[tag] for tag in metric.tags], _ROOM, keep_dots=True)
    return dict(zip(metric.tags, values, strict=True))


def tagged_name(metric: Metric, tags: Mapping[str, str]) -> str:
    """Return the name with the tags behind it in InfluxDB's form, ``name,tag=value``.

    :param metric: a metric of the catalogue
    :param tags: a value for each of its tags
    """
    pairs = (f"{tag}={value}" for tag, value in safe_tags(metric, tags).items())
    return ",".join([metric.name, *pairs])


def fit(values: list[str], room: int, *, keep_dots: bool = False) -> list[str]:
    """Sanitise *values* and shorten the longest until all together take at most *room* characters.

    A shortened value ends in a digest of the original, so that long names that begin alike stay apart.

    :param values: DAG id, task id and the like
    :param room: most characters of all together; at least 16 for each
    :param keep_dots: see :func:`sanitise`
    """
    segments = [sanitise(value, keep_dots=keep_dots) for value in values]
    limit = max(map(len, segments), default=0)
    while sum(min(len(segment), limit) for segment in segments) > room:
        limit -= 1
    return [
        segment if len(segment) <= limit else f"{segment[: limit - _DIGEST - 1]}_{_digest(value)}"
        for value, segment in zip(values, segments, strict=True)
    ]


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
