"""Cutting a source into shards: in the same places in every mode, whoever asks."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence

from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.context import RunContext

Bounds = tuple[int, int]
"""First record of a shard and the one after its last."""


def cut_source(context: RunContext, source: RecordSource) -> list[Bounds]:
    """Cut all records of *source* into the shards that the spec asks for, in order and none empty.

    ``execution.shard_bytes`` decides how many there are; they are then as equal in bytes as whole files
    allow, or in records where a file holds several.
    """
    execution, records = context.spec.execution, source.count()
    if execution.shard_bytes is None:
        return cut_evenly(records, execution.shards)
    sizes = source.sizes()
    shards = min(max(1, -(-sum(sizes) // execution.shard_bytes)), context.max_shards)
    if context.spec.source.format == "files":
        return cut_by_size(sizes, shards)
    return cut_evenly(records, shards)


def cut_evenly(records: int, shards: int) -> list[Bounds]:
    """Cut *records* into at most *shards* ranges, none empty, whose lengths differ by one at most."""
    count = min(shards, records)
    return [(number * records // count, (number + 1) * records // count) for number in range(count)]


def cut_by_size(sizes: Sequence[int], shards: int) -> list[Bounds]:
    """Cut records of these *sizes* into at most *shards* ranges, none empty and about equally large.

    Each ends with the record that brings the sum so far to its share of the whole, so that none is larger
    than an equal share by more than its last record.
    """
    reached = list(itertools.accumulate(sizes))
    total = reached[-1] if reached else 0
    inner = {bisect_left(reached, -(-number * total // shards)) + 1 for number in range(1, shards)}
    return list(itertools.pairwise(sorted({0, len(sizes), *inner}) if sizes else []))
